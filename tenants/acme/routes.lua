-- routes.lua: Acme's own pages beside the API: sizes by brand, gifts by budget, and a short link.
return {
  ["GET /size-guide/:brand"] = function(req, shop)
    local found = shop.products.search { attributes = { brand = req.params.brand }, size = 50 }
    local sizes, seen = {}, {}
    for _, product in ipairs(found.items) do
      local size = product.attributes.size
      if size and not seen[size] then
        sizes[#sizes + 1] = size
        seen[size] = true
      end
    end
    table.sort(sizes)
    return { brand = req.params.brand, sizes = sizes }
  end,

  ["GET /gifts"] = function(_, shop)
    local found = shop.products.search { category = "gift", size = 20 }
    local gifts = {}
    for i, product in ipairs(found.items) do
      gifts[i] = { name = product.name, sku = product.sku, price = product.price }
    end
    return { shop = shop.config().name, gifts = gifts }
  end,

  ["GET /tents"] = function(_, shop)
    return shop.redirect "/api/products?category=Tents"
  end,
}
