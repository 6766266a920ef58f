---@meta
-- pg.lua: the module lib.pg, for the Lua language server.

---@class PgError what the server said, beside the sentence and the name
---@field sqlstate string?
---@field constraint string?
---@field table string?
---@field column string?
---@field statement integer? which one of a batch
---@field unknown true? whether it was committed is not known: a COMMIT whose answer did not come

---@class PgOptions
---@field tenant string? the fence of row-level security
---@field timeout_ms integer?
---@field replica boolean? a replica may answer: only reads
---@field min_lsn any? what lsn() answered after a write that a replica must have
---@field slow boolean? on a connection of its own, so that nothing waits behind it
---@field repeatable boolean? may run twice: is sent again after a lost connection

---@alias PgRow table<string, any>
---@alias PgStatement any[] { sql, parameter … }

---@class PgQueries
local queries = {}
---@return PgRow[]? rows, string? why, string? name, PgError? info
function queries.query(sql, ...) end
---@return PgRow? row, string? why, string? name, PgError? info
function queries.one(sql, ...) end
---@return integer? affected, string? why, string? name, PgError? info
function queries.exec(sql, ...) end
---@param list PgStatement[]
---@return (PgRow[]|integer)[]? results, string? why, string? name, PgError? info
function queries.batch(list) end
---Raises a failure. close() when the loop is left early.
---@return fun(): PgRow?
function queries.rows(sql, ...) end
---@param source (any[]|string)[]|fun(): (any[]|string)?, string?, string?
---@return integer? copied, string? why, string? name, PgError? info
function queries.copy_in(sql, source) end
---Raises a failure. close() when the loop is left early.
---@return fun(): string?
function queries.copy_out(sql) end

---@class PgTransaction: PgQueries
local tx = {}
---@param run fun(tx: PgTransaction): ...
function tx.savepoint(run) end

---@class PgSettings
---@field isolation "read committed"|"repeatable read"|"serializable"|nil
---@field read_only boolean?
---@field retry boolean|integer|nil how often more after a serialization failure or a deadlock; true: 3
---@field name string? for the log; otherwise where the function stands

---@class Pg: PgQueries
---@field null userdata NULL as a parameter and inside of an array
local pg = {}
---The function may also be the settings' last entry.
---@param settings PgSettings|fun(tx: PgTransaction): ...
---@param run (fun(tx: PgTransaction): ...)?
function pg.transaction(settings, run) end
---@param options PgOptions
---@return Pg
function pg.with(options) end
---@param id string
---@return Pg
function pg.tenant(id) end
---@return true? done, string? why, string? name, PgError? info
function pg.notify(channel, payload) end
---@return any lsn, string? why, string? name, PgError? info
function pg.lsn() end
---@param options { missed: boolean? }? missed: yield false where notifications may have been lost
---@return Subscription?
function pg.listen(channel, options) end
---@return { bytes: integer, ms: integer }? lag of the replica, while it is known
function pg.lag() end
---@return table<string, any>
function pg.counts() end
---@return { transaction: string, count: integer, total_ms: number, longest_ms: number, longest_on: string }[]
function pg.waited() end
---@param list any[]
function pg.array(list) end
function pg.json(value) end
---@param text string
function pg.bytes(text) end
