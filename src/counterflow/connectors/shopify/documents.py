"""Every GraphQL document that is sent, checked in the tests against Shopify's own schema of each supported version.

Amounts are read as the customer saw them (presentment money). Names of operations are what a trace shows.
"""

# Mutations that refuse to run without @idempotent from 2026-04 on. The schema tells it in their descriptions only.
# returnProcess, returnCreate and returnApproveRequest take no key: there the state is read first.
IDEMPOTENT = frozenset(
    (
        "inventoryActivate",
        "inventoryAdjustQuantities",
        "inventoryMoveQuantities",
        "inventorySetOnHandQuantities",
        "inventorySetQuantities",
        "inventorySetScheduledChanges",  # gone in 2026-07
        "inventoryShipmentAddItems",
        "inventoryShipmentCreate",
        "inventoryShipmentCreateInTransit",
        "inventoryShipmentReceive",
        "inventoryTransferCreate",
        "inventoryTransferCreateAsReadyToShip",
        "inventoryTransferDuplicate",
        "inventoryTransferSetItems",
        "locationActivate",
        "locationDeactivate",
        "refundCreate",
    )
)

ERRORS = "userErrors { field message }"
CODED_ERRORS = "userErrors { code field message }"

_MONEY = "presentmentMoney { amount currencyCode }"
_TAXES = f"title rate priceSet {{ {_MONEY} }}"
_RULE = """
  discountApplication { index value { ... on PricingPercentageValue { percentage } }
    ... on DiscountCodeApplication { code } ... on AutomaticDiscountApplication { title }
    ... on ManualDiscountApplication { title } }"""

_LINE = f"""
fragment Line on LineItem {{
  id sku title quantity isGiftCard requiresShipping
  originalUnitPriceSet {{ {_MONEY} }} originalTotalSet {{ {_MONEY} }}
  discountAllocations {{ allocatedAmountSet {{ {_MONEY} }} {_RULE} }}
  taxLines(first: 10) {{ {_TAXES} }}
  customAttributes {{ key value }}
  lineItemGroup {{ id title quantity variantSku }}
}}"""

_TRANSACTION = f"""
fragment Transaction on OrderTransaction {{
  id kind status gateway paymentId processedAt errorCode settlementCurrency
  amountSet {{ {_MONEY} }} parentTransaction {{ id }}
}}"""

_REFUND = f"""
fragment RefundParts on Refund {{
  id createdAt updatedAt note return {{ id }} totalRefundedSet {{ {_MONEY} }}
  refundLineItems(first: 50) {{ nodes {{ quantity restockType lineItem {{ id }} }} }}
  transactions(first: 10) {{ nodes {{ ...Transaction }} }}
}}"""

_EXCHANGES = f"""exchangeLineItems(first: 20) {{ nodes {{ id quantity processedQuantity variantId
      lineItems {{ id sku quantity unfulfilledQuantity originalTotalSet {{ {_MONEY} }}
        discountAllocations {{ allocatedAmountSet {{ {_MONEY} }} }} }} }} }}"""

_ORDER = f"""
fragment OrderParts on Order {{
  id name createdAt processedAt updatedAt cancelledAt presentmentCurrencyCode taxesIncluded sourceName sourceIdentifier
  email tags customAttributes {{ key value }} customer {{ id }} shippingAddress {{ countryCodeV2 }}
  originalTotalPriceSet {{ shopMoney {{ amount currencyCode }} {_MONEY} }}
  lineItems(first: 50) {{ nodes {{ ...Line }} pageInfo {{ hasNextPage endCursor }} }}
  shippingLines(first: 5) {{ nodes {{ id title isRemoved originalPriceSet {{ {_MONEY} }}
    discountedPriceSet {{ {_MONEY} }} taxLines {{ {_TAXES} }} }} }}
  fulfillments(first: 20) {{ id status createdAt deliveredAt
    fulfillmentLineItems(first: 50) {{ nodes {{ quantity lineItem {{ id }} }} pageInfo {{ hasNextPage endCursor }} }} }}
  transactions(first: 50) {{ ...Transaction }}
  refunds(first: 20) {{ ...RefundParts }}
  returns(first: 10) {{ nodes {{ id createdAt {_EXCHANGES} }} }}
}}{_LINE}{_TRANSACTION}{_REFUND}"""

ORDER = f"query Order($id: ID!) {{ order(id: $id) {{ ...OrderParts }} }}{_ORDER}"

ORDER_LINES = f"""query OrderLines($id: ID!, $after: String) {{ order(id: $id) {{
  lineItems(first: 50, after: $after) {{ nodes {{ ...Line }} pageInfo {{ hasNextPage endCursor }} }} }} }}{_LINE}"""

SHIPPED_LINES = """query ShippedLines($id: ID!, $after: String) { fulfillment(id: $id) {
  fulfillmentLineItems(first: 50, after: $after) {
    nodes { quantity lineItem { id } } pageInfo { hasNextPage endCursor } } } }"""

RETURN = f"""query Return($id: ID!) {{ return(id: $id) {{
  id name status createdAt requestApprovedAt closedAt decline {{ reason note }}
  returnLineItems(first: 50) {{ nodes {{ __typename id quantity returnReason
    ... on ReturnLineItem {{ returnReasonNote fulfillmentLineItem {{ lineItem {{ id }} }} }} }}
    pageInfo {{ hasNextPage }} }}
  {_EXCHANGES}
  reverseFulfillmentOrders(first: 5) {{ nodes {{ reverseDeliveries(first: 5) {{ nodes {{ id deliverable {{
    ... on ReverseDeliveryShippingDeliverable {{ label {{ createdAt }} tracking {{ number }} }} }} }} }} }} }}
  order {{ ...OrderParts }} }} }}{_ORDER}"""

REVERSE = """query Reverse($id: ID!) { reverseFulfillmentOrder(id: $id) { order { returns(first: 20) {
  nodes { id reverseFulfillmentOrders(first: 5) { nodes { id } } } } } } }"""

FULFILLMENT_ORDER = "query FulfillmentOrder($id: ID!) { fulfillmentOrder(id: $id) { id orderId } }"

VARIANT = "query Variant($id: ID!) { productVariant(id: $id) { id sku price } }"

VARIANT_OF_SKU = """query VariantOfSku($query: String!) {
  productVariants(first: 5, query: $query) { nodes { id sku } } }"""

ORDERS_BY_NAME = "query OrdersByName($query: String!) { orders(first: 5, query: $query) { nodes { id name } } }"

CHANGED_ORDERS = """query ChangedOrders($query: String, $after: String, $first: Int!) {
  orders(first: $first, after: $after, query: $query, sortKey: UPDATED_AT) {
    nodes { id updatedAt returns(first: 10) { nodes { id } } refunds(first: 1) { id } }
    pageInfo { hasNextPage endCursor } } }"""

# What a bulk operation runs; the same for all feeds, for a shop runs one at a time.
BULK_ORDERS = (
    "{ orders(sortKey: UPDATED_AT) { edges { node { id updatedAt refunds { id } "
    "returns { edges { node { id } } } } } } }"
)

RUN_BULK = f"""mutation RunBulk($query: String!) {{ bulkOperationRunQuery(query: $query, groupObjects: false) {{
  bulkOperation {{ id createdAt }} {CODED_ERRORS} }} }}"""

BULK_OPERATIONS = """query BulkOperations { bulkOperations(first: 10, reverse: true, sortKey: CREATED_AT) {
  nodes { id createdAt status query } } }"""

BULK_OPERATION = "query BulkOperation($id: ID!) { bulkOperation(id: $id) { id status errorCode url fileSize } }"

ORDERS_COUNT = "query OrdersCount($limit: Int) { ordersCount(limit: $limit) { count precision } }"

CHECK = """query Check {
  shop { name myshopifyDomain }
  currentAppInstallation { accessScopes { handle } }
  webhookSubscriptions(first: 100) { nodes { topic uri } } }"""

SUBSCRIBE = f"""mutation Subscribe($topic: WebhookSubscriptionTopic!, $to: WebhookSubscriptionInput!) {{
  webhookSubscriptionCreate(topic: $topic, webhookSubscription: $to) {{ webhookSubscription {{ id }} {ERRORS} }} }}"""

# ---- returns ---------------------------------------------------------------------------------------------------------

RETURN_STATE = """query ReturnState($id: ID!) { return(id: $id) { id name status order { id } } }"""

RETURN_WORK = """query ReturnWork($id: ID!) { return(id: $id) {
  id status order { id }
  returnLineItems(first: 50) { nodes { __typename id quantity unprocessedQuantity
    ... on ReturnLineItem { fulfillmentLineItem { lineItem { id } } } } }
  exchangeLineItems(first: 20) { nodes { id quantity processedQuantity variantId } }
  reverseFulfillmentOrders(first: 5) { nodes { id status lineItems(first: 50) { nodes { id totalQuantity
    fulfillmentLineItem { lineItem { id sku lineItemGroup { id } } } dispositions { type quantity } } } } } } }"""

APPROVE = f"""mutation ApproveReturn($id: ID!) {{
  returnApproveRequest(input: {{id: $id}}) {{ return {{ id status }} {CODED_ERRORS} }} }}"""

DECLINE = f"""mutation DeclineReturn($id: ID!, $reason: ReturnDeclineReason!, $note: String) {{
  returnDeclineRequest(input: {{id: $id, declineReason: $reason, declineNote: $note}}) {{
    return {{ id status }} {CODED_ERRORS} }} }}"""

CLOSE = f"mutation CloseReturn($id: ID!) {{ returnClose(id: $id) {{ return {{ id status }} {CODED_ERRORS} }} }}"

CANCEL = f"mutation CancelReturn($id: ID!) {{ returnCancel(id: $id) {{ return {{ id status }} {CODED_ERRORS} }} }}"

REOPEN = f"mutation ReopenReturn($id: ID!) {{ returnReopen(id: $id) {{ return {{ id status }} {CODED_ERRORS} }} }}"

RETURN_NOTES = """query ReturnNotes($id: ID!) { order(id: $id) { id returns(first: 20, reverse: true) { nodes {
  id name returnLineItems(first: 5) { nodes { id ... on ReturnLineItem { returnReasonNote } } } } } } }"""

RETURNABLE = """query Returnable($id: ID!) { returnableFulfillments(orderId: $id, first: 10) { nodes {
  id returnableFulfillmentLineItems(first: 25) { nodes { quantity fulfillmentLineItem { id
    lineItem { id sku lineItemGroup { id } } } } } } } }"""

OPEN_RETURN = f"""mutation OpenReturn($input: ReturnInput!) {{
  returnCreate(returnInput: $input) {{ return {{ id name }} {CODED_ERRORS} }} }}"""

DISPOSE = f"""mutation Dispose($rows: [ReverseFulfillmentOrderDisposeInput!]!) {{
  reverseFulfillmentOrderDispose(dispositionInputs: $rows) {{
    reverseFulfillmentOrderLineItems {{ id }} {CODED_ERRORS} }} }}"""

ADD_TAGS = (
    f"mutation AddTags($id: ID!, $tags: [String!]!) {{ tagsAdd(id: $id, tags: $tags) {{ node {{ id }} {ERRORS} }} }}"
)

PROCESS = f"""mutation ProcessReturn($input: ReturnProcessInput!) {{
  returnProcess(input: $input) {{ return {{ id status }} {CODED_ERRORS} }} }}"""

# ---- replacement orders ----------------------------------------------------------------------------------------------

CREATE_ORDER = f"""mutation CreateOrder($order: OrderCreateOrderInput!, $options: OrderCreateOptionsInput) {{
  orderCreate(order: $order, options: $options) {{ order {{ id name sourceIdentifier }} {CODED_ERRORS} }} }}"""

ORDERS_BY_KEY = """query OrdersByKey($query: String!) {
  orders(first: 10, query: $query) { nodes { id name sourceIdentifier } } }"""

# ---- stock -----------------------------------------------------------------------------------------------------------

STOCK_OF_SKU = """query StockOfSku($query: String!, $location: ID!) {
  productVariants(first: 5, query: $query) { nodes { id sku inventoryItem { id
    inventoryLevel(locationId: $location) { id quantities(names: ["available"]) { name quantity } } } } } }"""

SET_STOCK = f"""mutation SetStock($input: InventorySetQuantitiesInput!, $key: String!) {{
  inventorySetQuantities(input: $input) @idempotent(key: $key) {{
    inventoryAdjustmentGroup {{ id }} {CODED_ERRORS} }} }}"""

# ---- money -----------------------------------------------------------------------------------------------------------

REFUNDS = f"""query Refunds($id: ID!) {{ order(id: $id) {{
  id currencyCode presentmentCurrencyCode customer {{ id }} transactions(first: 50) {{ ...Transaction }}
  refunds(first: 50) {{ ...RefundParts }} }} }}{_TRANSACTION}{_REFUND}"""

CREATE_REFUND = f"""mutation CreateRefund($input: RefundInput!, $key: String!) {{
  refundCreate(input: $input) @idempotent(key: $key) {{
    refund {{ ...RefundParts }} {ERRORS} }} }}{_TRANSACTION}{_REFUND}"""

CREATE_GIFT_CARD = f"""mutation CreateGiftCard($input: GiftCardCreateInput!) {{
  giftCardCreate(input: $input) {{ giftCard {{ id note initialValue {{ amount currencyCode }} }} {CODED_ERRORS} }} }}"""

GIFT_CARDS = """query GiftCards($query: String!, $after: String) {
  giftCards(first: 50, after: $after, query: $query) {
    nodes { id note initialValue { amount currencyCode } } pageInfo { hasNextPage endCursor } } }"""

# ---- Shopify Payments ------------------------------------------------------------------------------------------------

PAYOUTS = """query Payouts($query: String, $after: String, $first: Int!) { shopifyPaymentsAccount {
  payouts(first: $first, after: $after, query: $query, sortKey: ISSUED_AT) {
    nodes { id issuedAt status } pageInfo { hasNextPage endCursor } } } }"""

PAYOUT = """query Payout($id: ID!) { node(id: $id) { ... on ShopifyPaymentsPayout {
  id issuedAt status transactionType externalTraceId net { amount currencyCode } } } }"""

BALANCE = """query Balance($query: String!, $after: String) { shopifyPaymentsAccount {
  balanceTransactions(first: 100, after: $after, query: $query, hideTransfers: true) {
    nodes { id type transactionDate sourceOrderTransactionId associatedOrder { id }
      amount { amount currencyCode } fee { amount currencyCode } net { amount currencyCode } }
    pageInfo { hasNextPage endCursor } } } }"""

TRANSACTIONS = f"""query Transactions($ids: [ID!]!) {{ nodes(ids: $ids) {{ ... on OrderTransaction {{
  id kind gateway paymentId amountSet {{ {_MONEY} }} order {{ id presentmentCurrencyCode }} }} }} }}"""

DISPUTES = """query Disputes($query: String, $after: String, $first: Int!) { disputes(
  first: $first, after: $after, query: $query) {
    nodes { id initiatedAt status } pageInfo { hasNextPage endCursor } } }"""

DISPUTE = """query Dispute($id: ID!) { dispute(id: $id) {
  id type status initiatedAt finalizedOn amount { amount currencyCode }
  order { id transactions(first: 50) { id kind status gateway paymentId } } } }"""

DOCUMENTS: dict[str, str] = {
    name: text
    for name, text in list(globals().items())
    if isinstance(text, str) and text.startswith(("query ", "mutation ", "{ "))
}

# Input type -> the fields of it that we fill: what a document does not show, for it names a variable only.
INPUTS: dict[str, tuple[str, ...]] = {
    "ExchangeLineItemInput": ("variantId", "quantity"),
    "GiftCardCreateInput": ("code", "note", "customerId"),  # and `gift_card_amount`
    "InventoryQuantityInput": ("inventoryItemId", "locationId", "quantity", "changeFromQuantity"),
    "InventorySetQuantitiesInput": ("name", "reason", "referenceDocumentUri", "quantities"),
    "MoneyBagInput": ("shopMoney",),
    "MoneyInput": ("amount", "currencyCode"),
    "OrderCreateCustomAttributeInput": ("key", "value"),
    "OrderCreateCustomerInput": ("toAssociate",),
    "OrderCreateAssociateCustomerAttributesInput": ("id",),
    "OrderCreateLineItemInput": ("variantId", "quantity", "priceSet", "requiresShipping"),
    "OrderCreateOptionsInput": ("inventoryBehaviour", "sendReceipt"),
    "OrderCreateOrderInput": (
        "currency",
        "lineItems",
        "sourceIdentifier",
        "taxesIncluded",
        "tags",
        "note",
        "customAttributes",
        "customer",
        "transactions",
    ),
    "OrderCreateOrderTransactionInput": ("amountSet", "gateway", "kind", "status"),
    "OrderTransactionInput": ("orderId", "parentId", "gateway", "kind", "amount"),
    "RefundInput": ("orderId", "currency", "note", "notify", "transactions", "refundMethods"),
    "RefundMethodInput": ("storeCreditRefund",),
    "ReturnInput": ("orderId", "returnLineItems"),
    "ReturnLineItemInput": ("fulfillmentLineItemId", "quantity", "returnReason", "returnReasonNote"),
    "ReturnProcessExchangeLineItemInput": ("id", "quantity"),
    "ReturnProcessInput": ("returnId", "exchangeLineItems", "returnLineItems", "notifyCustomer"),
    "ReturnProcessReturnLineItemInput": ("id", "quantity"),
    "ReverseFulfillmentOrderDisposeInput": (
        "reverseFulfillmentOrderLineItemId",
        "quantity",
        "dispositionType",
        "locationId",
    ),
    "StoreCreditRefundInput": ("amount",),
    "WebhookSubscriptionInput": ("uri",),
}


def gift_card_amount(version: str) -> str:
    """The field for a new card's value: until 2026-07 a bare amount in the shop's currency."""
    return "initialAmount" if version >= "2026-07" else "initialValue"


def inputs(version: str) -> dict[str, tuple[str, ...]]:
    """`INPUTS` as they are filled in this version."""
    card = "GiftCardCreateInput"
    return {**INPUTS, card: (*INPUTS[card], gift_card_amount(version))}
