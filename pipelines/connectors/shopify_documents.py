"""What is asked of Shopify, as data: the fields of each feed, as the Admin API names them.

Belongs here: GraphQL selections. Does not belong here: what they mean (shopify_rows).
"""

from __future__ import annotations

from pipelines.connectors.shopify_api import Listing

MONEY = "{ shopMoney { amount currencyCode } }"
_PAGE_INFO = "pageInfo { hasNextPage endCursor }"

LINE_ITEM = (
    f"id sku quantity currentQuantity isGiftCard originalUnitPriceSet {MONEY} "
    f"discountAllocations {{ allocatedAmountSet {MONEY} }} taxLines {{ rate priceSet {MONEY} }} "
    "variant { legacyResourceId }"
)
REFUND_LINE_ITEM = f"lineItem {{ id }} quantity subtotalSet {MONEY} totalTaxSet {MONEY}"

ORDERS = Listing(
    "orders",
    "Order",
    "id legacyResourceId createdAt updatedAt processedAt closedAt cancelledAt test sourceName "
    "displayFinancialStatus displayFulfillmentStatus currencyCode taxesIncluded edited discountCodes "
    "customer { legacyResourceId } email phone retailLocation { legacyResourceId } "
    f"totalPriceSet {MONEY} totalTaxSet {MONEY} totalTipReceivedSet {MONEY} "
    f"originalTotalDutiesSet {MONEY} originalTotalAdditionalFeesSet {MONEY} "
    f"transactions(first: 50) {{ kind status gateway processedAt amountSet {MONEY} }} "
    f"shippingLines(first: 20) {{ nodes {{ discountedPriceSet {MONEY} taxLines {{ priceSet {MONEY} }} }} }} "
    f"lineItems(first: 50) {{ nodes {{ {LINE_ITEM} }} {_PAGE_INFO} }} "
    f"refunds(first: 50) {{ id legacyResourceId createdAt updatedAt totalRefundedSet {MONEY} "
    f"refundLineItems(first: 50) {{ nodes {{ {REFUND_LINE_ITEM} }} {_PAGE_INFO} }} }}",
)

CUSTOMERS = Listing(
    "customers",
    "Customer",
    "id legacyResourceId createdAt updatedAt firstName lastName "
    "defaultEmailAddress { emailAddress marketingState marketingUpdatedAt } "
    "defaultPhoneNumber { phoneNumber } "
    "defaultAddress { province city address1 address2 }",
)

VARIANT = "id legacyResourceId sku title price compareAtPrice updatedAt inventoryItem { unitCost { amount } }"

PRODUCTS = Listing(
    "products",
    "Product",
    "id legacyResourceId title vendor status isGiftCard updatedAt category { fullName } "
    f"variants(first: 50) {{ nodes {{ {VARIANT} }} {_PAGE_INFO} }}",
)

LEVEL = 'location { legacyResourceId } updatedAt quantities(names: ["on_hand", "committed"]) { name quantity }'

INVENTORY = Listing(
    "inventoryItems",
    "InventoryItem",
    f"id sku variant {{ legacyResourceId }} inventoryLevels(first: 50) {{ nodes {{ {LEVEL} }} {_PAGE_INFO} }}",
    sort_key=None,
)

LOCATIONS = (
    "query locations($after: String) { locations(first: 50, after: $after, includeInactive: true) { "
    "nodes { legacyResourceId name isActive updatedAt address { province city latitude longitude } } "
    f"{_PAGE_INFO} }} }}"
)

COUPONS = Listing(
    "codeDiscountNodes",
    "DiscountCodeNode",
    "id codeDiscount { ... on DiscountCodeBasic { createdAt updatedAt startsAt endsAt asyncUsageCount "
    "codes(first: 1) { nodes { code } } codesCount { count } "
    "context { ... on DiscountCustomers { customers { legacyResourceId } } } "
    "minimumRequirement { ... on DiscountMinimumSubtotal { greaterThanOrEqualToSubtotal { amount } } } "
    "customerGets { value { ... on DiscountAmount { amount { amount currencyCode } } "
    "... on DiscountPercentage { percentage } } } } }",
)

SHOP = "query shop { shop { currencyCode ianaTimezone } }"
