-- mail.lua: letters to the mail server of the settings.
local mail = {}

-- The server has opened the driver when, and only when, the setting mail_url names a mail server.
local native = package.loaded["mail.native"]

-- Whether letters can be sent at all.
function mail.ready()
  return native ~= nil
end

-- Waits until the mail server has taken the letter, for timeout_ms (20 s) at most. letter:
--   id        by which a receiver knows a letter that came twice: letters, digits, - . _ :
--   to        a list of plain addresses (user@example.com)
--   subject, text
--   name      of the sender; the address is the setting mail_from
--   reply_to  an address
-- Returns true, or nil, text, name: "unprocessable" and "invalid" are final; after any other the same letter may be
-- sent again, and may then arrive twice.
function mail.send(letter)
  if not native then return nil, "the setting mail_url names no mail server", "unavailable" end
  local complete = { from = process.config("mail_from") }
  for field, value in pairs(letter) do complete[field] = value end
  return native.send(complete)
end

return mail
