"""Amounts of a credit note: spread over the invoice lines that still have the pieces, and priced to the cent."""


def of_product(rows, product):
    found = []
    for row in rows:
        if product and row["product_id"] == product:
            found.append(row)
    return found


def take(rows, left, quantity):
    taken = []
    for row in rows:
        part = min(left[row["id"]], quantity)
        if part > 0:
            left[row["id"]] -= part
            quantity -= part
            taken.append((row, int(part)))
    return taken


def spread(line, rows, left):
    """A line over the invoice lines that still have its pieces; what no invoice has stays with the first of them."""
    taken = take(rows, left, line["quantity"])
    if len(taken) < 2:
        return [(line, taken[0][0] if taken else rows[0] if rows else None)]
    pieces = []
    for part in taken:
        pieces.append(part[1])
    pieces[0] += line["quantity"] - sum(pieces)
    amounts = shared(line["amount"], pieces)
    taxes = shared(line["tax"], pieces) if line["taxed"] else [0] * len(pieces)
    parts = []
    for n in range(len(taken)):
        parts.append(({**line, "quantity": pieces[n], "amount": amounts[n], "tax": taxes[n]}, taken[n][0]))
    return parts


def shared(total, weights):
    """`total` in proportion to `weights`, in parts that sum to it (as core.money.allocate)."""
    sign = -1 if total < 0 else 1
    base = sum(weights)
    parts = []
    order = []
    for n in range(len(weights)):
        parts.append(sign * total * weights[n] // base)
        order.append((-(sign * total * weights[n] % base), n))
    order.sort()
    for _, n in order[: sign * total - sum(parts)]:
        parts[n] += 1
    found = []
    for part in parts:
        found.append(sign * part)
    return found


def rate_of(taxes):
    """(inside the price, on top of it) in parts per million, as far as they are percentages."""
    inside = 0
    on_top = 0
    for tax in taxes:
        if tax["amount_type"] == "percent":
            if tax["price_include"]:
                inside += round(tax["amount"] * 10_000)
            else:
                on_top += round(tax["amount"] * 10_000)
    return inside, on_top


def price_of(line, taxes):
    """What all pieces cost on the credit note, so that Odoo gets the channel's untaxed amount out of it."""
    inside, on_top = rate_of(taxes)
    untaxed = rounded(line["amount"] * 1_000_000, 1_000_000 + inside + on_top)
    if line["taxed"] and inside + on_top:
        wanted = line["amount"] - line["tax"]
        if wanted == untaxed and not on_top:
            return line["amount"]
        untaxed = wanted
    elif not on_top:
        return line["amount"]
    return untaxed + rounded(untaxed * inside, 1_000_000)


def rounded(numerator, denominator):
    """Half away from zero, as Odoo rounds."""
    sign = -1 if numerator < 0 else 1
    return sign * ((2 * abs(numerator) + denominator) // (2 * denominator))


def pieces_of(quantity, price):
    """[(quantity, unit price)]: at most two lines, whose sum is the price exactly; what is kept has quantity -1."""
    if price < 0:
        return [(-1, -price)]
    if quantity < 2:
        return [(1, price)]
    unit, rest = divmod(price, quantity)
    return [(quantity - rest, unit)] + ([(rest, unit + 1)] if rest else [])
