-- collections.lua: declares the collections: what is unique, what is indexed, what is a list, what is money.
--
-- Every index starts with the tenant and ends with the id. A change here needs a new step in the engines' migrations.
return {
  products = {
    unique = { "sku" },
    indexes = { { "status", "createdAt" }, { "createdAt" }, { "stock" }, { "price" } },
    -- found by the few documents that have the field at all
    sparse = { "pending" },
    -- lists whose elements are looked up
    elements = { "category" },
    -- amounts, and the field with their currency
    money = { price = "currency" },
  },
  orders = {
    unique = { "orderNumber" },
    indexes = { { "customer.email" }, { "status", "createdAt" }, { "createdAt" } },
    sparse = {}, elements = {}, money = {},
  },
  tenants = {
    unique = { "subdomain", "customDomain" },
    indexes = { { "slug" } },
    sparse = {}, elements = {}, money = {},
  },
  rules = {
    unique = {},
    indexes = { { "createdAt" } },
    sparse = {}, elements = {}, money = {},
  },
}
