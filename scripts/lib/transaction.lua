-- transaction.lua: what pg.transaction and redis.transaction are called with: settings, perhaps, and a function.
--
-- Returns the settings and the function of `name`(settings, function), `name`(function) or `name` { …, function }; a
-- mistake is raised where that was called.
return function(name, settings, run)
  if run == nil and type(settings) == "table" then
    run = settings[1]
  elseif run == nil then
    settings, run = {}, settings
  end
  if type(settings) ~= "table" then error(name .. ": the settings must be a table", 3) end
  if type(run) ~= "function" then
    error(("%s: the last argument must be a function: %s([settings,] function(tx) … end)"):format(name, name), 3)
  end
  return settings, run
end
