-- routes.lua: the shop's own pages: gifts within a budget, and the tea shelf.
return {
  ["GET /gifts/:budget"] = function(req, shop)
    local budget = tonumber(req.params.budget)
    if not budget then return shop.answer { status = 404, body = "no such budget" } end
    local gifts = {}
    for _, product in ipairs(shop.products.search({ category = "gift", size = 50 }).items) do
      if product.price <= budget then gifts[#gifts + 1] = { name = product.name, price = product.price } end
    end
    table.sort(gifts, function(a, b)
      if a.price ~= b.price then return a.price > b.price end
      return a.name < b.name
    end)
    return { budget = budget, gifts = gifts }
  end,

  ["GET /tea"] = function(_, shop)
    local names = {}
    for i, product in ipairs(shop.products.find({ category = "tea", size = 50 }).items) do names[i] = product.name end
    return { tea = names }
  end,
}
