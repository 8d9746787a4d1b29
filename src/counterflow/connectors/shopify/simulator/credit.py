"""Gift cards and store credit: balances in the shop's currency, with their movements."""

from datetime import date

from counterflow.connectors.shopify.simulator.money import minor
from counterflow.connectors.shopify.simulator.shop import Refused, Shop
from counterflow.sdk.simulator import Doc


def new_card(shop: Shop, amount_minor: int, more: Doc) -> Doc:
    """`more`: code (8 to 20 letters and digits), customer_id, expires_on, note, currency."""
    if amount_minor <= 0:
        raise Refused("Initial value must be greater than 0", "GREATER_THAN", ["input", "initialValue"])
    code = str(more.get("code") or f"card{shop.world.rng.getrandbits(48):012x}").lower()
    if not 8 <= len(code) <= 20:
        raise Refused("Code must be 8-20 characters", "TOO_SHORT" if len(code) < 8 else "TOO_LONG", ["input", "code"])
    if shop.owner(f"giftcard:{code}"):
        raise Refused("Code has already been taken", "TAKEN", ["input", "code"])
    card: Doc = {
        "id": shop.gid("GiftCard"), "code": code, "initial_minor": amount_minor, "balance_minor": amount_minor,
        "currency": more.get("currency") or shop.currency, "enabled": True, "expires_on": more.get("expires_on"),
        "note": more.get("note"), "customer_id": more.get("customer_id"), "at": shop.now(), "movements": [],
    }  # fmt: skip
    shop.world.put("gift_cards", card["id"], card)
    shop.remember(f"giftcard:{code}", card["id"])
    return card


def card(shop: Shop, ref: str) -> Doc:
    """By gid or code. Raises LookupError."""
    doc = shop.world.get("gift_cards", ref) or shop.world.get("gift_cards", shop.owner(f"giftcard:{ref.lower()}") or "")
    if doc is None:
        raise LookupError(f"GiftCard {ref}")
    return doc


def usable(shop: Shop, doc: Doc) -> bool:
    expires = doc["expires_on"]
    return bool(doc["enabled"]) and (expires is None or date.fromisoformat(expires) >= shop.world.now().date())


def spend(shop: Shop, ref: str, amount_minor: int) -> None:
    doc = card(shop, ref)
    if not usable(shop, doc) or doc["balance_minor"] < amount_minor:
        raise Refused(f"gift card {doc['code'][-4:]} cannot pay {amount_minor} minor units", "INVALID")
    load(shop, doc, -amount_minor, None)


def load(shop: Shop, doc: Doc, amount_minor: int, note: str | None) -> Doc:
    """Put money on a card (or take it off, when negative). Raises Refused when it is disabled or expired."""
    if not usable(shop, doc):
        raise Refused("The gift card is expired or deactivated.", "INVALID", ["id"])
    kind = "GiftCardCreditTransaction" if amount_minor > 0 else "GiftCardDebitTransaction"
    movement = {"id": shop.gid(kind), "kind": kind, "amount_minor": amount_minor, "note": note, "at": shop.now()}
    doc["balance_minor"] += amount_minor
    doc["movements"].append(movement)
    shop.world.put("gift_cards", doc["id"], doc)
    return movement


def grant(shop: Shop, owner: str, amount: Doc, expires_at: str | None, event: str) -> Doc:
    """Credit a customer's store credit account (one for each currency, made if new); gives {account, movement}."""
    account = shop.world.get("store_credit", owner)
    if account is None and shop.world.get("customers", owner) is None:
        raise Refused("Owner does not exist", "OWNER_NOT_FOUND", ["id"])
    currency = amount["currencyCode"]
    amount_minor = minor(amount["amount"], currency)
    if amount_minor <= 0:
        raise Refused(
            "A positive amount must be used to credit", "NEGATIVE_OR_ZERO_AMOUNT", ["creditInput", "creditAmount"]
        )
    if account is None:
        mine = (doc for doc in shop.world.all("store_credit") if doc["owner"] == owner and doc["currency"] == currency)
        account = next(mine, None) or {
            "id": shop.gid("StoreCreditAccount"), "owner": owner, "currency": currency, "balance_minor": 0,
            "movements": [],
        }  # fmt: skip
    if account["currency"] != currency:
        raise Refused(
            "The currency does not match the account", "MISMATCHING_CURRENCY", ["creditInput", "creditAmount"]
        )
    account["balance_minor"] += amount_minor
    movement = {
        "id": shop.gid("StoreCreditAccountCreditTransaction"), "amount_minor": amount_minor, "at": shop.now(),
        "after_minor": account["balance_minor"], "expires_at": expires_at, "event": event,
    }  # fmt: skip
    account["movements"].append(movement)
    shop.world.put("store_credit", account["id"], account)
    return {"account": account, "movement": movement}
