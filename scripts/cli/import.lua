-- import.lua: `perigee import`: loads a product export in Shopify's CSV format into a tenant's catalogue.
local catalogue = require "shop.catalogue"
local products = require "shop.products"
local shopify = require "shop.shopify"
local tenants = require "shop.tenants"

local USAGE = [[
usage: perigee import --tenant SLUG [--strict] [--config FILE] [--SETTING=VALUE…] FILE.csv

Loads a product export in Shopify's format. Each variant becomes a product with its own SKU; known SKUs are updated, so
that importing twice changes nothing. A bad row is reported as FILE:LINE and skipped.

  --tenant SLUG   the shop, by its folder under tenants/
  --strict        load nothing when any row is bad (exit code 1)
  --config FILE   the server's settings; perigee help config lists what --SETTING=VALUE may be
]]

local function say(...)
  io.stderr:write(string.format(...), "\n")
end

-- The options of the command line, or nil and what is wrong with them.
local function read_arguments(words)
  local options, i = {}, 1
  while words[i] do
    local word = words[i]
    local tenant = word:match "^%-%-tenant=(.*)$"
    if word == "--strict" then options.strict = true
    elseif word == "--help" or word == "-h" then options.help = true
    elseif tenant then options.tenant = tenant
    elseif word == "--tenant" then i = i + 1; options.tenant = words[i]
    elseif word:sub(1, 1) == "-" and word ~= "-" then return nil, "there is no option " .. word
    elseif options.file then return nil, "one file at a time: " .. word
    else options.file = word end
    i = i + 1
  end
  if options.help then return options end
  if not options.tenant then return nil, "--tenant SLUG is missing" end
  if not options.file then return nil, "the file is missing" end
  return options
end

-- The tenant, stored from its tenant.json first when the server has never run.
local function find_tenant(slug)
  tenants.seed(slug)
  return tenants.find("slug", slug)
end

local function report(file, faults)
  for _, fault in ipairs(faults) do say("%s:%d: %s", file, fault.line, fault.text) end
end

-- On a terminal a line that counts up and is wiped at the end; elsewhere nothing.
local function new_progress(total)
  if os.execute "test -t 2" ~= 0 then return function() end, function() end end
  local function show(done) io.stderr:write(("\r%d of %d products"):format(done, total)) end
  local function wipe() io.stderr:write "\r\27[K" end
  return show, wipe
end

local function summary(options, counts, export, skipped, started)
  print(("%s: %d added, %d updated, %d unchanged, %d skipped of %d variants in %.1f s"):format(
    options.tenant, counts.added, counts.updated, counts.unchanged, skipped, #export.entries + export.skipped,
    (clock.now_ms() - started) / 1000))
end

local function import(options)
  local started = clock.now_ms()
  local tenant = find_tenant(options.tenant)
  if not tenant then
    say("perigee import: there is no tenant %s", options.tenant)
    return 1
  end
  local export, wrong = shopify.read(options.file, products.context(tenant))
  if not export then
    say("perigee import: %s", wrong)
    return 1
  end
  report(options.file, export.faults)
  if options.strict and #export.faults > 0 then
    say("perigee import: nothing was loaded: %d bad rows", export.skipped)
    return 1
  end
  local show, wipe = new_progress(#export.entries)
  local counts = catalogue.load(tenant, export.entries, show)
  wipe()
  report(options.file, counts.refused)
  summary(options, counts, export, export.skipped + #counts.refused, started)
  return 0
end

local options, wrong = read_arguments(arg)
if not options then
  say("perigee import: %s\n%s", wrong, USAGE)
  return 2
end
if options.help then
  io.write(USAGE)
  return 0
end
return import(options)
