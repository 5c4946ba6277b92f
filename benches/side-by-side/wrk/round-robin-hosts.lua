-- Asks w0.example, w1.example, … in turn over the same connections. Arguments: how many hosts.
dofile("report.lua")

local prepared = {}
local turn = 0

function init(args)
  local hosts = assert(tonumber(args[1]), "give the number of hosts after --")
  for index = 0, hosts - 1 do
    prepared[index] = wrk.format("GET", nil, { Host = "w" .. index .. ".example" })
  end
end

function request()
  local bytes = prepared[turn]
  turn = turn + 1
  if prepared[turn] == nil then
    turn = 0
  end
  return bytes
end
