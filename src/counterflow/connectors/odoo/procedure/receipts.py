"""Receipts: which delivered pieces come back, and the return transfer that books them."""

from counterflow.connectors.odoo.procedure.sale import fields, incoming, moves_of, sale_of, within
from counterflow.connectors.odoo.procedure.steps import escaped, link, refusal, told
from counterflow.connectors.odoo.procedure.writing import change, give_lots, keys_of, load, spoken, why

_LINE = ("move_id", "picking_id", "product_id", "product_uom_id", "location_id", "location_dest_id")


def still_out(moves, left):
    """What each delivery move has still out, less what is planned in this visit (`left` remembers it)."""
    delivered = []
    for move in moves:
        if move["state"] == "done" and move["location_dest_usage"] == "customer":
            delivered.append(move)
            if move["id"] not in left:
                left[move["id"]] = move["quantity"]
                for back in moves:
                    if back["state"] == "done" and back["origin_returned_move_id"] == move["id"]:
                        left[move["id"]] -= back["quantity"]
    return delivered


def parts_of(item, delivered, kits):
    """[(product, quantity)]: a kit is its components here, for so it was delivered."""
    for move in delivered:
        if move["product_id"] == item["product"]:
            return [(item["product"], item["quantity"])]
    parts = []
    for part in kits.get(item["product"], []):
        parts.append((part[0], part[1] * item["quantity"]))
    return parts or [(item["product"], item["quantity"])]


def backs_of(op, sale, lots, kits, left):
    """[(product, quantity, delivery move or None, lot)]: which delivered pieces these are, never more than are out."""
    delivered = still_out(moves_of(sale), left)
    found = []
    for item in op["items"]:
        lot = lot_of(item, lots)
        if not item["sold"]:
            found.append((item["product"], item["quantity"], None, lot))
            continue
        for product, pieces in parts_of(item, delivered, kits):
            wanted = pieces
            mine = []
            others = []
            out = 0
            for move in delivered:
                if move["product_id"] == product:
                    out += move["quantity"]
                    if lot and lot not in move["lot_ids"]:
                        others.append(move)
                    else:
                        mine.append(move)  # the one that it left with comes first
            for move in mine + others:
                take = min(left[move["id"]], wanted)
                if take > 0:
                    left[move["id"]] -= take
                    wanted -= take
                    found.append((product, take, move, lot))
            if wanted > 0:
                raise refusal(
                    "over_return",
                    f"{item['quantity']} x {item['sku']} cannot come back to {sale['name']}: {out:g} left with it; "
                    f"with what is back already {wanted:g} would be too many; look at its returns in Odoo",
                    item["sku"],
                )
    return found


def lot_of(item, lots):
    """The lot or serial that an item names, 0 for none. Refused when Odoo does not know it."""
    if not item["lot"]:
        return 0
    lot = lots.get((item["product"], item["lot"]), 0)
    if not lot and item["tracked"]:
        raise refusal(
            "lot_missing",
            f"Odoo has no lot or serial {item['lot']!r} of {item['sku']}: enter it, or correct the receipt, then retry",
            item["sku"],
        )
    return lot


def receipt(op, sale, backs, words):
    """The return transfer for `load`."""
    first = None
    for back in backs:
        first = first or back[2]
    source = first["location_dest_id"] if first else op["customers"]
    pieces = []
    for item in op["items"]:
        pieces.append(f"{item['quantity']} x {item['sku']}")
    lines = []
    for product, quantity, move, lot in backs:
        line = {
            "product_id/.id": product,
            "product_uom_qty": f"{quantity:g}",
            "location_id/.id": source,
            "location_dest_id/.id": op["target"],
        }
        if lot:
            line["lot_ids/.id"] = [lot]
        if move:
            line["origin_returned_move_id/.id"] = move["id"]
            line["move_orig_ids/.id"] = [move["id"]]
            line["sale_line_id/.id"] = move["sale_line_id"]
            line["to_refund"] = True
            line[f"{words['tie']}/.id"] = move[words["tie"]]
            if move.get("bom_line_id"):
                line["bom_line_id/.id"] = move["bom_line_id"]  # without it a kit's delivered quantity never drops
        lines.append(line)
    document = {
        "op": op["key"],
        "key": op["key"],
        "head": {
            "picking_type_id/.id": op["operation"],
            "partner_id/.id": sale["partner_id"],
            "location_id/.id": source,
            "location_dest_id/.id": op["target"],
            "origin": f"Return of {sale['name']} [{op['rma']}]",
            "return_id/.id": first["picking_id"]["id"] if first else None,
            "user_id/.id": None,
        },
        "lines_field": "move_ids",
        "lines": lines,
        "say": f"{escaped(op['rma'])}: {escaped(', '.join(pieces))} came back to {escaped(op['place'])}, "
        f"{link('sale.order', sale)}.",
    }
    return spoken(document, words)


def receive(ops, sales, settings, made, refused):
    """Look what is there, make the transfers, validate them."""
    states = {}
    products = set()
    for sale in sales:
        for move in moves_of(sale):
            products.add(move["product_id"])
            if move["picking_id"]:
                states[move["picking_id"]["id"]] = move["picking_id"]["state"]
    known = {}
    yield ("run", keys_of("stock.picking", incoming(sales), known))
    lots = {}
    kits = {}
    yield ("run", lots_of(ops, lots))
    if settings["kits"]:
        yield ("run", components_of(ops, products, kits))
    documents = []
    left = {}
    words = settings["words"]
    for op in ops:
        state = states.get(known.get(op["key"]))
        if state and (state in ("done", "cancel") or not words["lot_lines"]):
            made[op["key"]] = known[op["key"]]
            continue
        try:
            sale = sale_of(sales, op, settings["field"])
            documents.append(receipt(op, sale, backs_of(op, sale, lots, kits, left), words))
        except Exception as error:
            refused[op["key"]] = told(error)
    yield ("run", swap_lots(documents, ops, lots, refused))
    yield ("run", load("stock.picking", documents, made, refused))
    with_lots = []
    for document in documents:
        if document["key"] in made and document["lot_rows"]:
            with_lots.append(document)
    yield ("run", give_lots(with_lots, refused))
    units = []
    for op in ops:
        if op["key"] in made and states.get(made[op["key"]]) not in ("done", "cancel"):
            units.append((op["key"], [made[op["key"]]]))
    yield ("run", change("stock.picking", "button_validate", units, {}, refused))
    yield ("", None)


def swap_lots(documents, ops, lots, refused):
    """Where another lot came back than the delivery says, the delivery is put right first: the one that was noted is
    in stock again, the one that left comes back."""
    for op in ops:
        moves = []
        for document in documents:
            for line in document["lines"] if document["op"] == op["key"] else []:
                if "origin_returned_move_id/.id" in line:
                    moves.append(line["origin_returned_move_id/.id"])
        for item in op["items"] if moves else []:
            noted = lots.get((item["product"], item["lot_sold"]), 0) if item["lot_sold"] else 0
            real = lots.get((item["product"], item["lot"]), 0)
            if noted and real:
                domain = [["state", "=", "done"], ["lot_id", "in", [noted, real]], "|", ["move_id", "in", moves]]
                domain.append(["move_id.origin_returned_move_id", "in", moves])
                names = [*_LINE, "quantity", "lot_id"]
                arguments = {"domain": domain, "fields": names, "load": None}
                lines = yield ("stock.move.line", "search_read", [], arguments)
                yield ("run", swap(op, item, lines, moves, noted, real, refused))
    yield ("", None)


def swap(op, item, lines, moves, noted, real, refused):
    """So many pieces of the delivery change from the noted lot to the real one, of which none may be out already."""
    missing = item["quantity"]
    for line in lines:
        if line["lot_id"] == real:
            missing += -line["quantity"] if line["move_id"] in moves else line["quantity"]
    for line in lines:
        pieces = min(missing, line["quantity"])
        if line["lot_id"] != noted or line["move_id"] not in moves or pieces <= 0:
            continue
        missing -= pieces
        commands = [[1, line["id"], {"lot_id": real}]]
        if pieces < line["quantity"]:
            vals = {"quantity": pieces, "lot_id": real, "picked": True}
            for name in _LINE:
                vals[name] = line[name]
            commands = [[1, line["id"], {"quantity": line["quantity"] - pieces}], [0, 0, vals]]
        # On the move, so that both lines change in one transaction.
        answer = yield ("stock.move", "write", [line["move_id"]], {"vals": {"move_line_ids": commands}})
        if why(answer):
            refused[op["key"]] = ("lot_swap", why(answer), item["sku"])
    yield ("", None)


def lots_of(ops, lots):
    """(product, name) -> lot of what the items name."""
    names = []
    products = []
    for op in ops:
        for item in op["items"]:
            for name in (item["lot"], item["lot_sold"]):
                if name:
                    names.append(name)
                    products.append(item["product"])
    if names:
        domain = [["name", "in", names], ["product_id", "in", products]]
        arguments = {"domain": domain, "fields": ["name", "product_id"], "load": None}
        for row in (yield ("stock.lot", "search_read", [], arguments)):
            lots[row["product_id"], row["name"]] = row["id"]
    yield ("", None)


def components_of(ops, delivered, kits):
    """Kit -> [(product, quantity for one kit)], for what was sold and not delivered as such."""
    products = []
    for op in ops:
        for item in op["items"]:
            if item["sold"] and item["product"] not in delivered and item["product"] not in products:
                products.append(item["product"])
    if products:
        bom = within(fields("product_qty", "product_id"), product_tmpl_id=fields("product_variant_ids"))
        arguments = {
            "domain": [
                ["bom_id.type", "=", "phantom"],
                ["bom_id.product_tmpl_id.product_variant_ids", "in", products],
            ],
            "specification": within(fields("product_id", "product_qty"), bom_id=bom),
        }
        answer = yield ("mrp.bom.line", "web_search_read", [], arguments)
        used = {}  # the first bill of materials of each kit
        for line in answer["records"]:
            bom = line["bom_id"]
            for product in products:
                mine = product in bom["product_tmpl_id"]["product_variant_ids"]
                if mine and used.setdefault(product, bom["id"]) == bom["id"]:
                    kits.setdefault(product, []).append((line["product_id"], line["product_qty"] / bom["product_qty"]))
    yield ("", None)


def received(picking):
    if picking and picking["state"] == "done":
        day = str(picking["date_done"])[:10]
        values = {"name": picking["name"], "state": "done", "accounting_on": day}
        return {"done": ("stock.picking", [picking["id"]], values)}
    if picking and picking["state"] == "cancel":
        said = f"{picking['name']} was cancelled in Odoo by a person: validate a copy there, or discard this"
        return {"refused": ("", said, "")}
    what = f"the transfer {picking['name']}" if picking else "the transfer"
    return {"refused": ("", f"Odoo did not validate {what}: finish it there, then retry", "")}
