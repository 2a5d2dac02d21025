-- standing.lua: put before scripts that compare generations. `standing(key, epoch)`: the generation of an event type as text.
-- One that is not there (never cleared, or flushed) is the epoch's number: the server's time in microseconds when the
-- epoch began, so that it differs from any generation of the time before. Something that is no number is "odd".
local function standing(key, epoch)
  local kind = redis.call("TYPE", key).ok
  local value = kind == "string" and redis.call("GET", key) or ""
  if kind == "none" then value = redis.call("TYPE", epoch).ok == "string" and redis.call("GET", epoch) or "" end
  if not string.match(value, "^%d+$") or string.len(value) > 16 then return "odd" end
  return value
end
