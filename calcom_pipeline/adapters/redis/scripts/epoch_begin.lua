-- epoch_begin.lua KEYS={epoch, process, settling of all} ARGV={settle_ms, latest epoch that the caller has met or 0}: the epoch's number
-- Called over every new connection. A server that was started anew, or another one in its place, may have what was cleared
-- meanwhile: all of it goes, and what is fetched settles. `process` holds the run id of the server that the epoch began on.
local run_id = string.match(redis.call("INFO", "server"), "run_id:(%w+)") or ""
local known = redis.call("TYPE", KEYS[2]).ok == "string" and redis.call("GET", KEYS[2]) or ""
local epoch = redis.call("TYPE", KEYS[1]).ok == "string" and redis.call("GET", KEYS[1]) or ""
if known == run_id and string.match(epoch, "^%d+$") and tonumber(epoch) >= tonumber(ARGV[2]) then return epoch end
local slots = string.gsub(KEYS[1], "epoch$", "")
for _, kind in ipairs({"day:*", "type:*", "near:*", "generation:*", "index:*"}) do
  for _, key in ipairs(redis.call("KEYS", slots .. kind)) do redis.call("DEL", key) end
end
local now = redis.call("TIME")
local begun = now[1] .. string.format("%06d", now[2])
if tonumber(begun) <= tonumber(ARGV[2]) then begun = string.format("%.0f", tonumber(ARGV[2]) + 1) end -- clocks differ
redis.call("SET", KEYS[1], begun)
redis.call("SET", KEYS[2], run_id)
if tonumber(ARGV[1]) > 0 then redis.call("SET", KEYS[3], "1", "PX", ARGV[1]) end
return begun
