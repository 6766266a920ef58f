---@meta
-- runtime.lua: the globals that the server gives to trusted scripts, for the Lua language server.

---An exact number: prices, rates, anything with a fraction. Compares by value and encodes as its own text.
---@class Decimal: userdata

---@class json
json = {}
---Marks null in what was decoded, and writes null.
---@type userdata
json.null = nil
---Whole numbers within 2^53 become numbers, all others decimals; lists and objects are marked, so that [] stays [].
---@param text string
---@return any value
---@return string? why
---@return "bad_json"|nil name
function json.decode(text) end
---@param value any plain data
---@return string text members in the order of their names
function json.encode(value) end
---Marks a table as a list, also when it is empty.
---@generic T
---@param list T[]
---@return T[]
function json.array(list) end
---Marks a table as an object, also when it is empty.
---@generic T: table
---@param object T
---@return T
function json.object(object) end

---@class decimal
decimal = {}
---@param text string|number
---@return Decimal
function decimal.new(text) end
---@param value any
---@return boolean
function decimal.is(value) end

---Amounts are whole numbers of the currency's minor unit; these read and write them exactly.
---@class money
money = {}
---@param currency string ISO 4217 code
---@return integer digits USD 2, JPY 0, KWD 3
function money.digits(currency) end
---@param amount Decimal|number|string
---@param digits integer
---@return integer? minor
---@return string? why
---@return "invalid"|"precision"|"range"|nil name
function money.parse(amount, digits) end
---@param minor integer
---@param digits integer
---@return Decimal
function money.decimal(minor, digits) end
---@param minor integer
---@param digits integer
---@return string
function money.format(minor, digits) end

---@class ident
ident = {}
---@return string uuid version 7: later ones sort behind
function ident.uuid() end
---@param bytes integer
---@return string token random and URL-safe
function ident.token(bytes) end
---@param text string
---@return string hex 64 characters
function ident.sha256(text) end

---@class clock
clock = {}
---@return integer ms since 1970
function clock.now_ms() end
---@param ms integer
---@return string text RFC 3339, UTC
function clock.iso(ms) end
---@param text string
---@return integer? ms
function clock.parse(text) end

---One structured line each; the request's id is added.
---@class log
log = {}
---@param event string
---@param fields? table<string, string|number|boolean>
function log.info(event, fields) end
---@param event string
---@param fields? table<string, string|number|boolean>
function log.warn(event, fields) end
---@param event string
---@param fields? table<string, string|number|boolean>
function log.error(event, fields) end

---@class process
process = {}
---@param key string a key of `perigee help config`
---@return string? value
function process.config(key) end
---Has this worker look every tenant up again at its next request.
function process.forget_tenants() end

---@class Outcome
---@field ok boolean
---@field value any what the function returned
---@field error any what it raised

---Runs the functions side by side and waits for all of them.
---@param functions (fun(): any)[]
---@return Outcome[] outcomes in the order of the functions
function wait_all(functions) end

---@param ms integer
function sleep(ms) end
