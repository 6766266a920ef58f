---@meta
-- redis.lua: the modules lib.redis, lib.read_through, shop.queue and shop.email, for the Lua language server.

---@alias RedisQueue table<string, fun(...)>
---@alias RedisTransaction { watch: string[]?, tenant: string?, [1]: nil|fun(tx: RedisQueue): false? }

---Every command is a function by its own name, in lower case: redis.hset(key, name, text).
---@class Redis
---@field null userdata nothing, inside of a list
---@field replica table<string, fun(...): any> the commands that read, answered by a replica where there is one
---@field [string] fun(...): any
local redis = {}
---@param command string
---@return any answer, string? why, string? name
function redis.call(command, ...) end
---@param ms number
---@param replica boolean
---@return any answer, string? why, string? name
function redis.within(ms, replica, command, ...) end
---@param commands any[][]|fun(p: table<string, fun(...)>)
---@return any[]? answers each one, null, or { error = name, detail = text }
---@return string? why, string? name
function redis.pipeline(commands) end
---The function may also be the settings' last entry.
---@param settings RedisTransaction|fun(tx: RedisQueue): false?
---@param run (fun(tx: RedisQueue): false?)?
---@return any[]|false|nil answers nil without a name: a watched key was changed
---@return string? why, string? name
function redis.transaction(settings, run) end
---@param text string
---@return fun(keys: string[], arguments: any[]?): any
function redis.script(text) end
---@param options { pattern: boolean?, missed: boolean? }? missed: yield false where messages may have been lost
---@return Subscription?
function redis.subscribe(channel, options) end
---@param run fun(connection: table<string, fun(...): any>): ...
---@param options { key: string?, tenant: string? }?
function redis.connection(run, options) end

---@class ReadThrough
local read_through = {}
---@param options { ttl_s: number, negative_s: number?, copy: boolean?, stale_s: number?, stale: boolean? }
---@param fetch fun(): any
function read_through.get(tenant, key, options, fetch) end
---@return true?, string? why, string? name
function read_through.changed(tenant, key) end
---@param listener fun(tenant: string?, key: string?)
function read_through.on_change(listener) end

---@class Job
---@field id string
---@field tenant string
---@field kind string
---@field data any
---@field tries integer

---@class Queue
local queue = {}
---@alias JobRun fun(job: Job): ("later"|"never")?, string?
---@param jobs table<string, JobRun|{ run: JobRun, ready: (fun(): boolean)? }>
function queue.register(jobs) end
---@return string id
function queue.push(tenant_id, kind, data, options) end
---@return Message[]
function queue.dead(count, kind) end

---@class Email
local email = {}
---@param letter string a name of shop/letters.lua, or of the tenant's settings.letters
---@param options { id: string? }?
---@return string id
function email.push(tenant_id, to, letter, values, options) end
