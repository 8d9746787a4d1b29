"""A new installation: configuration with comments, policies, keys. Nothing that is there is ever overwritten."""

from pathlib import Path

from counterflow.cli.failures import CONFLICT, Stop

CONFIGURATION = """# What this retailer has: connections, places where goods are counted, and the routes between them.
#
# A secret is never written here: "env:NAME" is read from the environment, "file:PATH" from a file.
# `counterflow connectors list` prints the connectors, `counterflow doctor` checks all of this.

# ---- connections: one table for each account of an outside system ---------------------------------------------------
#
# [connections.shop]
# connector = "shopify"
# environment = "test"                  # production and test never share a credential
# functions = ["returns", "refunds"]    # what this credential is for
# base_url = "https://example.myshopify.com"
# access_token = "env:SHOP_TOKEN"
# webhook_secret = "env:SHOP_WEBHOOK_SECRET"
#
# [connections.psp]
# connector = "stripe"
# api_key = "env:PSP_KEY"
# webhook_secret = "env:PSP_WEBHOOK_SECRET"
#
# [connections.odoo]
# connector = "odoo"
# base_url = "https://odoo.example.com"
# database = "production"
# api_key = "env:ODOO_KEY"

# ---- places: where goods are counted --------------------------------------------------------------------------------
#
# [[places]]
# name = "wh-1"            # what receipts and inspections call it
# connection = "wms"       # who is told what to expect and what to do with it
#
# [[places]]
# name = "store-1"
# connection = "till-1"
# inspects = false         # what is handed in here travels on to be inspected

# ---- routes: which connection plays which part ----------------------------------------------------------------------
#
[routes]
erp = ""                        # "odoo"
# cash = "till-1"
# inspection_place = "wh-1"
# payments = { shop = "psp" }   # a shop's refunds go to its payment provider
"""

IGNORE = "# Secrets, data and copies of checkpoints are nobody's to commit.\n/keys/\n/postgres/\n/checkpoints/\n"


def init(directory: Path) -> None:
    """Make a new installation in a directory: configuration, policies, keys.

    Parameters
    ----------
    directory
        A new or empty directory; it becomes COUNTERFLOW_HOME.
    """
    from counterflow.policies import default_text
    from counterflow.store import keys, secret

    files = {
        "counterflow.toml": CONFIGURATION,
        "policies/default.toml": default_text(),
        ".gitignore": IGNORE,
    }
    there = [name for name in (*files, "keys") if (directory / name).exists()]
    if there:
        raise Stop(CONFLICT, f"{directory} has {', '.join(there)} already: name a new directory; nothing was changed")
    try:
        for name, text in files.items():
            (directory / name).parent.mkdir(parents=True, exist_ok=True)
            with (directory / name).open("x", encoding="utf-8") as file:
                file.write(text)
        secret.load_or_create(directory)
        keys.load_or_create(directory)
    except OSError as error:
        raise Stop(CONFLICT, f"{directory} cannot be written ({error.strerror}): name another directory") from None
    print(f"{directory} is ready. Next:")
    print(f"  export COUNTERFLOW_HOME={directory}")
    print(f"  edit {directory / 'counterflow.toml'}, then: counterflow doctor")
    print("  counterflow keys create NAME --role agent, then: counterflow serve")
