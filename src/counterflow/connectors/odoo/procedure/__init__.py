"""Whole operations: receipts, credit notes and refund payments of many sales in about ten calls of Odoo.

What is written here runs in two places. In the plain lane the connector imports it and answers its calls over HTTP. In
the fast lane its text is the code of a server action (`counterflow odoo install`): the same calls, answered inside
Odoo, in one transaction. So the modules of this folder hold to what Odoo's `safe_eval` permits: no import but of each
other, no class, `with`, `assert` or `yield from`, no name with two underscores, no attribute that is set, no inner
function or comprehension that uses a local name of its function; no annotation but of built-in names. A test holds
them to it.

`carry_out` is a generator. It yields (model, method, ids, arguments) and is given the answer; a write that Odoo refuses
is answered by {"refused": why}. ("run", generator) calls another one, ("", result) ends; `advance` does both. It looks
at the sales, makes what is missing under the keys of the operations, calls the state methods, and believes only what it
reads at the end. Whatever is lost on the way, the next visit finds and goes on from there.
"""

from counterflow.connectors.odoo.procedure.steps import CONFLICT, MODULE, QUIET, READING, WORDS, advance
from counterflow.connectors.odoo.procedure.whole import carry_out
from counterflow.connectors.odoo.procedure.writing import LOT_COLUMNS, spoken, table

__all__ = ["CONFLICT", "LOT_COLUMNS", "MODULE", "QUIET", "READING", "WORDS", "advance", "carry_out", "spoken", "table"]
