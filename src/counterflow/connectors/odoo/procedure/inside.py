"""The fast lane's end of a visit: inside Odoo, where `env` answers its calls, all in the transaction of one request."""

from counterflow.connectors.odoo.procedure.steps import CONFLICT, QUIET, READING, advance
from counterflow.connectors.odoo.procedure.whole import carry_out


def serve(env, version, business_error):
    """What the server action answers to `counterflow` in its context: outcomes; or its code; or, asked for another
    version than this one, only which version it is."""
    asked = env.context.get("counterflow") or {}
    if "show" in asked:
        return {"code": env["ir.actions.server"].sudo().browse(asked["show"]).code}
    if asked.get("version") != version:
        return {"version": version}
    context = {**env.context, **QUIET}
    context.pop("counterflow")
    stack = [carry_out(asked["operations"], asked["settings"])]
    answer = None
    while True:
        model, method, ids, arguments = advance(stack, answer)
        if not model:
            return {"version": version, "outcomes": arguments}
        records = env[model].with_context({**context, **arguments.get("context", {})}).browse(ids)
        if method in READING:
            answer = look(records, method, arguments)
        else:
            answer = act(env, records, method, arguments, business_error)


def look(records, method, arguments):
    if method == "web_search_read":
        return records.web_search_read(arguments["domain"], arguments["specification"])
    if method == "web_read":
        return records.web_read(arguments["specification"])
    if method == "search_read":
        return records.search_read(
            arguments["domain"], arguments["fields"], order=arguments.get("order"), load=arguments["load"]
        )
    if method == "read":
        return records.read(arguments["fields"], load=arguments["load"])
    if method == "get_external_id":
        return records.get_external_id()
    try:
        return records.check_object_reference(arguments["module"], arguments["xml_id"])
    except Exception:  # there is no such external id
        return None


def act(env, records, method, arguments, business_error):
    """One call that changes something, behind a savepoint of its own: what is refused leaves nothing behind."""
    point = env.cr.savepoint()
    try:
        answer = change_in(records, method, arguments)
        point.close(rollback=False)
    except business_error as error:
        point.close(rollback=True)
        return {"refused": str(error)}
    if method == "load" and CONFLICT in str(answer["messages"]):
        raise business_error(CONFLICT)  # the transaction is lost: nothing of this request happened
    return answer


def change_in(records, method, arguments):
    if method == "load":
        return records.load(arguments["fields"], arguments["data"])
    if method == "button_validate":
        return records.button_validate()
    if method == "action_post":
        return records.action_post()
    if method == "reconcile":
        return records.reconcile()
    if method == "unlink":
        return records.unlink()
    if method == "write":
        return records.write(arguments["vals"])
    if method == "create":
        return records.create(arguments["vals_list"]).ids
    raise Exception(f"{method} is no call of the procedure")
