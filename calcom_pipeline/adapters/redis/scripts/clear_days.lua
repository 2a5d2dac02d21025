-- clear_days.lua KEYS={generation, index} ARGV={":<zone>:<day>" endings to clear, or none for all}: keys deleted
-- The generation never expires sooner than a fetch could still be under way (one day).
redis.call("INCR", KEYS[1])
redis.call("EXPIRE", KEYS[1], 86400)
local deleted = 0
for _, key in ipairs(redis.call("SMEMBERS", KEYS[2])) do
  local hit = #ARGV == 0
  for _, ending in ipairs(ARGV) do
    if string.sub(key, -string.len(ending)) == ending then hit = true break end
  end
  if hit then
    deleted = deleted + redis.call("DEL", key)
    redis.call("SREM", KEYS[2], key)
  end
end
return deleted
