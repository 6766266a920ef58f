local floor = math.floor
return function(cart, ctx)
  local out = {}
  for k, v in pairs({b=1,a=2,[3]=4,[1]=2,[true]=1}) do out[#out+1] = tostring(k).."="..tostring(v) end
  log("hello", 1, {}, nil, "x\ny")
  table.sort(out, function(a,b) return a > b end)
  return table.concat(out, ",") .. string.format("%5.2f|%-5s|%q|%d|%x", 3.14159, "ab", 'a"\n\0z', 42, 255) .. money.percent(1999, "8.25") .. money.format(-5, {code="USD",digits=2}) .. ("x"):rep(3, "-") .. bit.tohex(-1) .. tostring(1e15) .. math.random(100)
end
