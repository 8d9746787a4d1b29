"""How a visit goes on: calls that somebody answers, refusals, and small tools."""

MODULE = "cf"
CONFLICT = "could not serialize access"
QUIET = {  # no chatter of field tracking and no followers: what is to be said is one line of ours
    "tracking_disable": True,
    "mail_create_nolog": True,
    "mail_create_nosubscribe": True,
    "mail_notrack": True,
}
# What differs between versions in what we write; all else is called the same from 18 on.
#   tie: the field that ties a stock move to its order
#   plain_moves: a transfer says its shipping policy and each move a name, which Odoo fills in itself from 19 on
#   lot_lines: the lots of a draft move are lost; they are given by lines of their own
WORDS = {
    18: {"tie": "group_id", "plain_moves": False, "lot_lines": True},
    19: {"tie": "reference_ids", "plain_moves": True, "lot_lines": False},
}
READING = ("web_search_read", "web_read", "search_read", "read", "get_external_id", "check_object_reference")


def refusal(code, message, field=""):
    return Exception("refused", code, message, field)


def told(error):
    """(code, message, field) of a refusal; any other exception is a fault of ours and goes on."""
    if len(error.args) == 4 and error.args[0] == "refused":
        return error.args[1:]
    raise error


def advance(stack: list, answer):
    """The next call that somebody has to answer, or ("", "", [], result) at the end."""
    while True:
        request = stack[-1].send(answer)
        if request[0] == "run":
            stack.append(request[1])
            answer = None
        elif request[0] == "":
            stack.pop()
            answer = request[1]
            if not stack:
                return ("", "", [], answer)
        else:
            return request


def of_kind(ops, kind):
    found = []
    for op in ops:
        if op["kind"] == kind:
            found.append(op)
    return found


def ids_in(rows):
    found = []
    for row in rows:
        found.append(row["id"])
    return found


def by_id(row):
    return row["id"]


def major(minor, digits):
    """1990 -> '19.90' with two digits."""
    if not digits:
        return str(minor)
    text = str(abs(minor)).rjust(digits + 1, "0")
    return f"{'-' if minor < 0 else ''}{text[:-digits]}.{text[-digits:]}"


def escaped(text):
    return text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")


def link(model, row):
    return f'<a href="#" data-oe-model="{model}" data-oe-id="{row["id"]}">{escaped(row["name"])}</a>'
