"""The GraphQL that the Vendure connector asks with. Belongs here: documents, nothing else."""

from __future__ import annotations

_CUSTOMER = """
    id createdAt updatedAt firstName lastName phoneNumber emailAddress
    user { id }
    addresses { province city defaultShippingAddress }
"""

_PROMOTION = """
    id createdAt updatedAt endsAt couponCode usageLimit
    conditions { code args { name value } }
    actions { code args { name value } }
"""

_MOMENTS = """
    id updatedAt orderPlacedAt
    history(options: {take: 1, sort: {createdAt: DESC}}) { items { createdAt } }
"""

_ORDER = f"""
    id type state createdAt updatedAt orderPlacedAt currencyCode total totalWithTax shippingWithTax
    customer {{ id phoneNumber emailAddress user {{ id }} }}
    promotions {{ {_PROMOTION} }}
    surcharges {{ priceWithTax }}
    shippingLines {{ id }}
    lines {{
      id quantity orderPlacedQuantity taxRate
      unitPriceWithTax discountedLinePriceWithTax proratedLinePriceWithTax proratedUnitPriceWithTax
      productVariant {{ sku }}
    }}
    payments {{
      id updatedAt method state amount
      refunds {{ id createdAt updatedAt state total items reason lines {{ orderLineId quantity }} }}
    }}
    history(options: {{take: 500, sort: {{createdAt: ASC}}, filter: {{type: {{notIn: ["ORDER_NOTE"]}}}}}}) {{
      items {{ type createdAt data }}
    }}
"""

_VARIANT = """
    id createdAt updatedAt sku name enabled priceWithTax currencyCode
    taxRateApplied { value }
    stockLevels { stockLocationId stockOnHand stockAllocated updatedAt }
    product {
      id enabled updatedAt
      collections { breadcrumbs { name } }
      facetValues { code name facet { code } }
    }
"""


def _listing(field: str, options: str, selection: str) -> str:
    return f"query ($options: {options}) {{ {field}(options: $options) {{ items {{ {selection} }} }} }}"


def customers(consent_field: str | None) -> str:
    """Customers, with the custom field that says whether they may be sent advertisements, if there is one."""
    custom = f"customFields {{ {consent_field} }}" if consent_field else ""
    return _listing("customers", "CustomerListOptions", _CUSTOMER + custom)


ORDERS = _listing("orders", "OrderListOptions", _ORDER)
ORDER_MOMENTS = _listing("orders", "OrderListOptions", _MOMENTS)
PROMOTIONS = _listing("promotions", "PromotionListOptions", _PROMOTION)
VARIANTS = _listing("productVariants", "ProductVariantListOptions", _VARIANT)
LOCATIONS = _listing("stockLocations", "StockLocationListOptions", "id createdAt updatedAt name")
CURRENCY = "{ activeChannel { defaultCurrencyCode } }"
PERMISSIONS = """
{
  activeChannel { code defaultCurrencyCode pricesIncludeTax }
  customers(options: {take: 1}) { totalItems }
  orders(options: {take: 1}) { totalItems }
  productVariants(options: {take: 1}) { totalItems }
  promotions(options: {take: 1}) { totalItems }
  stockLocations(options: {take: 1}) { totalItems }
}
"""
