-- tenant.lua: the one declaration of a tenant's document, as tenants/<slug>/tenant.json holds it.
local schema = require "lib.schema"

local colour = { type = "string", pattern = "^#%x%x%x%x%x%x$", says = "must be a colour such as #1E40AF" }
local function colour_field(name)
  return { name, type = colour.type, pattern = colour.pattern, says = colour.says }
end

local branding = {
  { "logoUrl", type = "string", max = 2000 },
  colour_field "primaryColor",
  colour_field "secondaryColor",
  colour_field "accentColor",
  { "fontFamily", type = "string", max = 100 },
}

-- The engine reads the settings too and refuses an edition that it cannot use (unknown currency or time zone); a
-- tenant's rules may rely on settings of their own, so the map itself is open.
local tenant = schema.entity("tenant", {
  { "id", type = "string", write = "create", pattern = "^%x+%-%x+%-%x+%-%x+%-%x+$", says = "must be a UUID" },
  { "slug", type = "string", required = true, write = "create", min = 1, max = 63, pattern = "^[a-z0-9][a-z0-9-]*$",
    says = "must be lower-case letters, digits and hyphens" },
  { "subdomain", type = "string", max = 63, pattern = "^[a-z0-9][a-z0-9-]*$", says = "must be a host name's label" },
  { "customDomain", type = "string", max = 253, pattern = "^[a-z0-9.-]+$", says = "must be a lower-case host name" },
  { "name", type = "string", required = true, min = 1, max = 200 },
  { "description", type = "string", max = 2000, lines = true },
  { "contactEmail", type = "string", max = 254, pattern = "^[^@%s]+@[^@%s]+$", says = "must be an e-mail address" },
  { "phone", type = "string", max = 40 },
  { "branding", type = "object", fields = branding },
  { "settings", type = "open", required = true },
  { "version", type = "integer", write = "never" },
  { "createdAt", type = "string", write = "never" },
  { "updatedAt", type = "string", write = "never" },
  -- The digest of the tenant.json that the document was last seeded from.
  { "seed", type = "string", internal = true },
  -- Changes of settings that are still to be noted in the ledger: shop.audit.
  { "audits", type = "list", internal = true },
})

return tenant
