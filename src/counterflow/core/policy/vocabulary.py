"""The closed vocabularies of the policy tables: which columns a condition may name, and what each table may answer.

A column is a set of words, a flag or a range of whole numbers. The only words that a shop adds are its own product
categories (`[vocabulary] category` in the policy file). An input outside its column's vocabulary is never "no match":
it needs review.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass


def _listed(text: str) -> tuple[str, ...]:
    return tuple(text.split())


EU = frozenset(_listed("AT BE BG CY CZ DE DK EE ES FI FR GR HR HU IE IT LT LU LV MT NL PL PT RO SE SI SK"))
EEA = EU | {"IS", "LI", "NO"}
# A group may stand in a country cell for all its members; the larger one first, so that printing prefers it.
COUNTRY_GROUPS: Mapping[str, frozenset[str]] = {"EEA": EEA, "EU": EU}

# ISO 3166-1 alpha-2.
COUNTRIES = _listed(
    """
    AD AE AF AG AI AL AM AO AQ AR AS AT AU AW AX AZ BA BB BD BE BF BG BH BI BJ BL BM BN BO BQ BR BS BT BV BW BY BZ CA CC
    CD CF CG CH CI CK CL CM CN CO CR CU CV CW CX CY CZ DE DJ DK DM DO DZ EC EE EG EH ER ES ET FI FJ FK FM FO FR GA GB GD
    GE GF GG GH GI GL GM GN GP GQ GR GS GT GU GW GY HK HM HN HR HT HU ID IE IL IM IN IO IQ IR IS IT JE JM JO JP KE KG KH
    KI KM KN KP KR KW KY KZ LA LB LC LI LK LR LS LT LU LV LY MA MC MD ME MF MG MH MK ML MM MN MO MP MQ MR MS MT MU MV MW
    MX MY MZ NA NC NE NF NG NI NL NO NP NR NU NZ OM PA PE PF PG PH PK PL PM PN PR PS PT PW PY QA RE RO RS RU RW SA SB SC
    SD SE SG SH SI SJ SK SL SM SN SO SR SS ST SV SX SY SZ TC TD TF TG TH TJ TK TL TM TN TO TR TT TV TW TZ UA UG UM US UY
    UZ VA VC VE VG VI VN VU WF WS YE YT ZA ZM ZW
    """
)

# ISO 4217, list one, without funds, metals and test codes.
CURRENCIES = _listed(
    """
    AED AFN ALL AMD AOA ARS AUD AWG AZN BAM BBD BDT BGN BHD BIF BMD BND BOB BRL BSD BTN BWP BYN BZD CAD CDF CHF CLP CNY
    COP CRC CUP CVE CZK DJF DKK DOP DZD EGP ERN ETB EUR FJD FKP GBP GEL GHS GIP GMD GNF GTQ GYD HKD HNL HTG HUF IDR ILS
    INR IQD IRR ISK JMD JOD JPY KES KGS KHR KMF KPW KRW KWD KYD KZT LAK LBP LKR LRD LSL LYD MAD MDL MGA MKD MMK MNT MOP
    MRU MUR MVR MWK MXN MYR MZN NAD NGN NIO NOK NPR NZD OMR PAB PEN PGK PHP PKR PLN PYG QAR RON RSD RUB RWF SAR SBD SCR
    SDG SEK SGD SHP SLE SOS SRD SSP STN SVC SYP SZL THB TJS TMT TND TOP TRY TTD TWD TZS UAH UGX USD UYU UZS VED VES VND
    VUV WST XAF XCD XCG XOF XPF YER ZAR ZMW ZWG
    """
)

SELLER_FAULT = ("not_as_described", "wrong_item", "damaged_in_transit", "defective", "missing_parts")
LATE_OR_LOST = ("arrived_late", "not_received")
REASONS = (
    *(
        "changed_mind",
        "none_given",
        "does_not_fit",
        "ordered_wrong",
        "better_price",
        "duplicate_order",
        "unwanted_gift",
    ),
    *SELLER_FAULT,
    *LATE_OR_LOST,
    *("undeliverable", "refused_delivery", "recalled", "other"),
)

DEFAULT_CATEGORIES = _listed(
    """
    general apparel footwear accessories jewellery electronics computing appliances home furniture garden tools beauty
    health food pets toys sports books media automotive gift_card service
    """
)

# What a sale's channel makes of the contract, in the words of Directive 2011/83/EU art. 2(7)-(9).
CONTRACT_BY_CHANNEL: Mapping[str, str] = {
    "web": "distance",
    "marketplace": "distance",
    "service": "distance",
    "store": "on_premises",
}

FLAGS: Mapping[str, str] = {
    "final_sale": "sold as final",
    "hygiene": "sealed for health or hygiene reasons",
    "sealed_media": "sealed audio, video or software",
    "digital": "digital content whose supply has begun with consent",
    "customised": "made to the customer's specification",
    "perishable": "liable to deteriorate or expire rapidly",
    "hazmat": "battery, aerosol or other dangerous goods",
    "data_bearing": "can hold the customer's personal data",
    "gift": "returned by someone who did not buy it",
    "kit": "a kit or a part of one",
    "promotion": "bought under a promotion",
    "seal_broken": "the seal was broken after delivery",
    "used_beyond_testing": "a finding says handled beyond what testing needs",
    "incomplete": "a finding says parts are missing",
    "empty_box": "a finding says the box was empty",
    "wiped": "a wipe certificate exists",
    "informed": "the consumer was informed of the right of withdrawal",
    "withdrawal_open": "declared before the withdrawal period ended",
    "guarantee_open": "claimed before the legal guarantee ended",
}


@dataclass(frozen=True, slots=True)
class Choice:
    """A column of words, or a flag (its words are False and True)."""

    words: tuple[str, ...] | tuple[bool, ...]
    means: str = ""

    @property
    def kind(self) -> type:
        """The type of the column's values."""
        return type(self.words[0])


@dataclass(frozen=True, slots=True)
class Span:
    """A column of whole numbers, both ends included."""

    low: int
    high: int
    means: str = ""


Column = Choice | Span

_DAYS = 36_500

COLUMNS: Mapping[str, Column] = {
    "channel": Choice(("web", "store", "marketplace", "service"), "where the sale was made"),
    "contract": Choice(("distance", "off_premises", "on_premises"), "how the contract was concluded"),
    "country": Choice(COUNTRIES, "where the customer lives (ISO 3166-1); EU and EEA stand for their members"),
    "regime": Choice(("consumer", "business"), "who the customer is in law"),
    "case_kind": Choice(
        (
            *("withdrawal", "return", "exchange", "delivery_claim", "warranty_claim", "return_to_sender", "goodwill"),
            *("recall", "marketplace_return"),
        ),
        "the kind of the return case",
    ),
    "reason": Choice(REASONS, "what the customer gave as the reason"),
    "stated_condition": Choice(("unopened", "opened", "used", "damaged", "unknown"), "what the customer claims"),
    "grade": Choice(("A", "B", "C", "D", "not_graded"), "what the inspection saw"),
    "category": Choice(DEFAULT_CATEGORIES, "product category; the policy file may name its own"),
    "remedy": Choice(("refund", "exchange", "store_credit", "replacement", "repair", "none"), "what is asked for"),
    "tender": Choice(
        ("card", "wallet", "cash", "gift_card", "store_credit", "bank", "pay_later", "marketplace"),
        "what the customer paid with",
    ),
    "serial_result": Choice(
        ("ok", "mismatch", "unknown", "already_returned", "missing"), "serial found against sold; ok if there is none"
    ),
    "lot_status": Choice(("ok", "recalled", "expired"), "state of the lot; ok if there is none"),
    "currency": Choice(CURRENCIES, "currency of amount_minor (ISO 4217)"),
    "days_since_delivery": Span(0, _DAYS, "whole local days from delivery to the request"),
    "days_since_handover": Span(0, _DAYS, "whole local days from delivery to handing the goods back"),
    "amount_minor": Span(
        0, 10**15, "minor units: goods value of the line; in approvals the refund, in disposition the unit's value"
    ),
    "quantity": Span(1, 10**9, "pieces"),
    **{flag: Choice((False, True), means) for flag, means in FLAGS.items()},
}


def columns(categories: Iterable[str] = DEFAULT_CATEGORIES) -> Mapping[str, Column]:
    """All columns, with the shop's own product categories."""
    return {**COLUMNS, "category": Choice(tuple(categories), COLUMNS["category"].means)}


@dataclass(frozen=True, slots=True)
class Word:
    """An answer that is one of these words, the kindest to the customer first where there is an order."""

    words: tuple[str, ...] | tuple[bool, ...]
    required: bool = True


@dataclass(frozen=True, slots=True)
class Ppm:
    """An answer in parts per million of the goods value: 150_000 is 15 %."""

    required: bool = False


@dataclass(frozen=True, slots=True)
class PpmByGrade:
    """An answer in parts per million of the goods value for each grade A-D."""

    required: bool = False


@dataclass(frozen=True, slots=True)
class Amount:
    """An answer in money: `{ minor = 500, currency = "EUR" }`."""

    required: bool = False


Output = Word | Ppm | PpmByGrade | Amount

GRADES = ("A", "B", "C", "D")
REASON_CODES = (
    *(
        "in_window",
        "window_over",
        "statutory_withdrawal",
        "legal_guarantee",
        "guarantee_over",
        "seller_fault",
        "recall",
    ),
    *("undeliverable", "not_received", "late_delivery", "marketplace_decided", "goodwill", "business_terms"),
    *("final_sale", "customised", "perishable", "hygiene", "sealed_media", "digital"),
    *("serial_mismatch", "serial_unknown", "serial_missing", "serial_already_returned", "evidence_needed", "manual"),
)

TABLES: Mapping[str, Mapping[str, Output]] = {
    "eligibility": {
        "decision": Word(("approve", "review", "decline")),
        "reason_code": Word(REASON_CODES),
        "open_in_channel": Word((False, True), required=False),
    },
    "fees": {
        "restocking_fee_ppm": Ppm(),
        "restocking_fee": Amount(),
        "shipping_refund": Word(("full", "standard", "none")),
        "value_loss_ppm": PpmByGrade(),
        "promotion": Word(("keep_benefit", "re_price", "deny_partial")),
    },
    "approvals": {
        "persons": Word(("auto", "one", "two")),
        "role": Word(("none", "cs_agent", "cs_lead", "store_manager", "finance_clerk", "finance_controller")),
        "limit": Amount(),
    },
    "refund_moment": {
        "moment": Word(("request", "first_scan", "receipt", "inspection")),
        "credit_note_moment": Word(("refund_confirmed", "disposition")),
    },
    "disposition": {
        "disposition": Word(
            (
                *("restock", "refurbish", "repair", "quarantine", "return_to_vendor", "liquidate", "donate"),
                *("recycle", "scrap", "send_back", "hold"),
            )
        ),
    },
}
# A table may not name both: a fee is a share or a sum.
EXCLUSIVE_OUTPUTS: Mapping[str, tuple[str, str]] = {"fees": ("restocking_fee_ppm", "restocking_fee")}
