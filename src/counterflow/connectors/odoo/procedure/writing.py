"""Making documents under our keys, and changing their state: in one call for all, in halves where Odoo refuses."""

from counterflow.connectors.odoo.procedure.steps import MODULE

LOT_COLUMNS = ["id", "picking_id/id", "move_id/id", "lot_id/.id", "product_id/.id", "quantity", "location_id/.id"]
LOT_COLUMNS += ["location_dest_id/.id"]


def table(documents: list) -> tuple:
    """Columns and rows of strings for `load`: a document's first row holds its head, its chatter line and its first
    line, further rows only lines. Whatever a document brings has an external id, so a repeat changes nothing."""
    heads = []
    names = []
    child = ""
    said = False
    for document in documents:
        child = child or document["lines_field"]
        said = said or bool(document.get("say"))
        for name in document["head"]:
            if name not in heads:
                heads.append(name)
        for line in document["lines"]:
            for name in line:
                if name not in names:
                    names.append(name)
    columns = ["id", *heads]
    if said:
        for name in ("id", "body", "model", "message_type", "subtype_id/id"):
            columns.append(f"message_ids/{name}")
    if child:
        columns.append(f"{child}/id")
        for name in names:
            columns.append(f"{child}/{name}")
    rows = []
    for document in documents:
        key = f"{MODULE}.{document['key']}"
        head = [key]
        for name in heads:
            head.append(cell(document["head"].get(name)))
        if said and document.get("say"):
            head += [f"{key}_say", f"<p>{document['say']}</p>", document["model"], "notification", "mail.mt_note"]
        elif said:
            head += [""] * 5
        for number, line in enumerate(document["lines"] or [{}], 1):
            row = list(head)
            if child:
                row.append(f"{key}_l{number}" if line else "")
            for name in names:
                row.append(cell(line.get(name)))
            rows.append(row)
            head = [""] * len(head)
    return columns, rows


def cell(value):
    if value is None or value is False:
        return ""
    if isinstance(value, (list, tuple)):
        return ",".join(map(str, value))
    return str(value)


def load(model, documents, made, outcomes):
    """Create what is not there, and note the ids in `made`. What Odoo refuses is split until the culprit stands alone;
    the documents of one operation are made all or none."""
    todo = [documents] if documents else []
    while todo:
        group = todo.pop(0)
        for document in group:
            document["model"] = model
        columns, rows = table(group)
        answer = yield (model, "load", [], {"fields": columns, "data": rows})
        ids = answer.get("ids")
        if not ids:
            ids = []
            for document in group:
                found = yield (
                    "ir.model.data",
                    "check_object_reference",
                    [],
                    {"module": MODULE, "xml_id": document["key"]},
                )
                ids.append(found[1] if found and found[0] == model else 0)
        if all(ids):
            for document, id in zip(group, ids):  # noqa: B905 - both have one entry per document
                made[document["key"]] = id
            continue
        halves = split(group)
        if halves:
            todo = [*halves, *todo]
        else:
            outcomes[group[0]["op"]] = ("load", f"Odoo does not take the {model}: {why(answer)}", "")
    yield ("", None)


def spoken(document: dict, words: dict) -> dict:
    """A transfer in the words of one version (`WORDS`). Its lots may become `lot_rows`, for `give_lots` after it."""
    document["lot_rows"] = []
    for number, line in enumerate(document["lines"], 1):
        if not words["plain_moves"]:
            line["name"] = document["head"]["origin"]
        if words["lot_lines"]:
            key = f"{MODULE}.{document['key']}"
            for lot in line.pop("lot_ids/.id", []):
                row = [f"{key}_l{number}_lot", key, f"{key}_l{number}", lot]
                for name in LOT_COLUMNS[4:]:
                    row.append(line["product_uom_qty" if name == "quantity" else name])
                document["lot_rows"].append(list(map(cell, row)))
    if not words["plain_moves"]:
        document["head"]["move_type"] = "direct"
    return document


def give_lots(documents, outcomes):
    """Say which lots the moves of draft transfers take; in halves where it is refused."""
    todo = [documents] if documents else []
    while todo:
        group = todo.pop(0)
        rows = []
        for document in group:
            rows += document["lot_rows"]
        answer = yield ("stock.move.line", "load", [], {"fields": LOT_COLUMNS, "data": rows})
        half = len(group) // 2
        if answer.get("ids"):
            continue
        if half:
            todo = [group[:half], group[half:], *todo]
        else:
            outcomes[group[0]["op"]] = ("lots", f"Odoo does not take the lots of the transfer: {why(answer)}", "")
    yield ("", None)


def split(group):
    """Two halves that leave the documents of an operation together; [] when they are all of one."""
    ops = []
    for document in group:
        if document["op"] not in ops:
            ops.append(document["op"])
    first = []
    second = []
    for document in group:
        (first if document["op"] in ops[: len(ops) // 2] else second).append(document)
    return [first, second] if first else []


def why(answer):
    """Why a call did nothing; empty when it did. A method that answers an action wants to ask a person."""
    if not isinstance(answer, dict):
        return ""
    if "refused" in answer:
        return answer["refused"]
    said = []
    for message in answer.get("messages", []):
        said.append(str(message.get("message", "")).strip())
    return "; ".join(said) or f"it asks for {answer.get('res_model')}"


def change(model, method, units, arguments, outcomes):
    """Call a state method for units [(operation, ids)], in halves where it is refused. A refusal is kept as the
    operation's outcome; what is read at the end outvotes it."""
    todo = [units] if units else []
    while todo:
        group = todo.pop(0)
        ids = []
        for unit in group:
            ids += unit[1]
        answer = yield (model, method, ids, arguments)
        reason = why(answer)
        if not reason:
            continue
        half = len(group) // 2
        if half:
            todo = [group[:half], group[half:], *todo]
        else:
            outcomes[group[0][0]] = ("state", f"{model} {ids[0]}: {reason}", "")
    yield ("", None)


def keys_of(model, ids, known):
    """Which of these documents carry a key of ours: {key: id} is added to `known`."""
    if ids:
        names = yield (model, "get_external_id", ids, {})
        for id in ids:
            module, _, key = (names.get(id) or names.get(str(id)) or "").partition(".")
            if module == MODULE and key:
                known[key] = id
    yield ("", None)
