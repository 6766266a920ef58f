-- email.lua: emails to a shop's customers: put in the queue now, sent by a worker that reaches the mail server.
--
-- Without a mail server (the setting mail_url) they wait in the queue, and the log says so once for each.
local letters = require "shop.letters"
local mail = require "lib.mail"
local problem = require "lib.problem"
local queue = require "shop.queue"
local stores = require "stores"

local email = {}

local KIND = "email"
-- Given out each 90 s; tried so often at first, then every half hour.
local QUICK, EVERY = 4, 20

-- An email to one address: letter is a name of shop/letters.lua, values what its text needs. The same id is sent once:
-- { id = "order-7:confirmation" }. Returns the id; raises when the queue cannot take it.
function email.push(tenant_id, to, letter, values, options)
  local id = queue.push(tenant_id, KIND, { to = to, letter = letter, values = values }, options)
  if not mail.ready() then
    log.warn("email_not_sent", { id = id, tenant = tenant_id, why = "mail_url is not set; it waits in the queue" })
  end
  return id
end

-- One id for receivers, whatever the job's own is made of.
local function letter_id(job)
  return ident.sha256(job.tenant .. "\0" .. job.id):sub(1, 32)
end

-- The queue's job: final refusals make a dead letter, all else is tried again for five days.
function email.deliver(job)
  if job.tries > QUICK and job.tries % EVERY ~= 0 then return "later" end
  local tenant = problem.check(stores.documents.get("*", "tenants", job.tenant))
  -- This server may not know the shop yet: it has just started, or another one's folder has it.
  if not tenant then return "later" end
  local texts = letters.write(tenant, job.data.letter, job.data.values)
  if not texts then return "never", "there is no letter " .. tostring(job.data.letter) end
  local sent, text, name = mail.send { id = letter_id(job), to = { job.data.to }, subject = texts.subject,
    text = texts.text, name = tenant.name, reply_to = tenant.contactEmail, timeout_ms = queue.JOB_MS - 2000 }
  if sent then return "done" end
  if name == "invalid" or name == "unprocessable" then return "never", text end
  error(text, 0)
end

return email
