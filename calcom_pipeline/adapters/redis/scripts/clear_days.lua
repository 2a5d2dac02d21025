-- clear_days.lua KEYS={generation, index, settling, type, epoch} ARGV={settle_ms, "1" to forget the type or "0", ":<zone>:<day>" endings to clear, or none for all}: keys deleted
-- The generation never expires sooner than a fetch could still be under way (one day). One that is
-- no number (or was flushed with its epoch) becomes the server's time in microseconds; an index that is no set is made anew from the days that are there.
local value = standing(KEYS[1], KEYS[5])
if value == "odd" then
  local now = redis.call("TIME")
  value = now[1] .. string.format("%06d", now[2])
end
redis.call("SET", KEYS[1], value)
redis.call("INCR", KEYS[1])
redis.call("EXPIRE", KEYS[1], 86400)
if tonumber(ARGV[1]) > 0 then redis.call("SET", KEYS[3], "1", "PX", ARGV[1]) end
if ARGV[2] == "1" then redis.call("DEL", KEYS[4]) end
local kind = redis.call("TYPE", KEYS[2]).ok
if kind ~= "set" and kind ~= "none" then
  redis.call("DEL", KEYS[2])
  local pattern = string.gsub(KEYS[1], "slots:generation:(%d+)$", "slots:day:%1:*")
  for _, key in ipairs(redis.call("KEYS", pattern)) do redis.call("SADD", KEYS[2], key) end
end
local deleted = 0
for _, key in ipairs(redis.call("SMEMBERS", KEYS[2])) do
  local hit = #ARGV == 2
  for i = 3, #ARGV do
    if string.sub(key, -string.len(ARGV[i])) == ARGV[i] then hit = true break end
  end
  if hit then
    deleted = deleted + redis.call("DEL", key)
    redis.call("SREM", KEYS[2], key)
  end
end
return deleted
