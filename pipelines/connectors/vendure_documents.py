"""The GraphQL that the Vendure connector asks with. Belongs here: documents, nothing else."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Listing:
    """A list of the API: its field, the type of its options, what is asked of a record, and what every record has
    without asking further: its times."""

    field: str
    options: str
    selection: str
    moments: str = "createdAt updatedAt"

    @property
    def document(self) -> str:
        return self._document(self.selection)

    @property
    def bare(self) -> str:
        """Ids and times alone."""
        return self._document(f"id {self.moments}")

    def _document(self, selection: str) -> str:
        return f"query ($options: {self.options}) {{ {self.field}(options: $options) {{ items {{ {selection} }} }} }}"


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


def customers(consent_field: str | None) -> Listing:
    """Customers, with the custom field that says whether they may be sent advertisements, if there is one."""
    custom = f"customFields {{ {consent_field} }}" if consent_field else ""
    return Listing("customers", "CustomerListOptions", _CUSTOMER + custom)


ORDERS = Listing("orders", "OrderListOptions", _ORDER, "updatedAt orderPlacedAt")
ORDER_MOMENTS = Listing("orders", "OrderListOptions", _MOMENTS, "updatedAt orderPlacedAt")
PROMOTIONS = Listing("promotions", "PromotionListOptions", _PROMOTION)
VARIANTS = Listing("productVariants", "ProductVariantListOptions", _VARIANT)
LOCATIONS = Listing("stockLocations", "StockLocationListOptions", "id createdAt updatedAt name")
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
