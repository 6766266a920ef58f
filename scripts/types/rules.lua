---@meta
-- rules.lua: a tenant's rules as trusted scripts call them, and as a tenant writes them.

---@class QuoteLine
---@field productId string
---@field sku string
---@field name string
---@field price integer minor units
---@field quantity integer
---@field category string[]
---@field attributes table<string, any>
---@field weightGrams integer

---@class CartToPrice
---@field items QuoteLine[]
---@field codes string[]
---@field address table?
---@field option string?
---@field customer table?
---@field channel string?
---@field explain boolean?

---@class Quote
---@field priced boolean
---@field reason string? why it is not priced
---@field shippable boolean? false when there is no way to ship there
---@field subtotal integer
---@field discount integer
---@field shipping integer
---@field tax integer what is added
---@field taxIncluded integer what the prices contain
---@field total integer
---@field discounts { reason: string, code: string?, amount: integer }[]
---@field shippingOptions { id: string, name: string, amount: integer, days: integer? }[]
---@field shippingOption string?
---@field taxLines { name: string, rate: string, amount: integer, inclusive: boolean }[]
---@field violations { code: string, message: string, line: integer? }[]
---@field explain { rule: string, line: integer?, amount: integer, reason: string }[]
---@field ruleEdition string

---@class rules
rules = {}
---@param tenant string slug
---@param cart CartToPrice
---@return Quote? quote, string? why, string? name
function rules.price(tenant, cart) end
---@param slug string? only this tenant's
---@return table[] documents the tenant.json of every edition that serves
function rules.seeds(slug) end

---A line of the cart as a rule sees it.
---@class RuleLine
---@field productId string
---@field sku string
---@field name string
---@field price integer
---@field quantity integer
---@field subtotal integer
---@field discounted integer? from shipping on
---@field net integer? in tax and checkout
---@field category string[]
---@field attributes table<string, any>
---@field weight_grams integer

---@class RuleCart
---@field currency string
---@field count integer
---@field subtotal integer
---@field discounted integer? from shipping on
---@field shipping integer? in tax and checkout
---@field total integer? in checkout
---@field codes string[]
---@field items RuleLine[]

---@class RuleContext
---@field tenant { id: string, name: string, settings: table }
---@field customer { id: string?, email: string?, group: string, tags: string[], orders: integer }
---@field address { country: string, state: string?, city: string?, postalCode: string? }?
---@field currency { code: string, digits: integer }
---@field now { epoch: integer, iso: string, year: integer, month: integer, day: integer, hour: integer }
---@field channel string
---@field seed integer
