-- POSTs a JSON document. Arguments: the file that holds it.
dofile("report.lua")

function init(args)
  local file = assert(io.open(args[1], "rb"), "give the JSON file after --")
  local body = file:read("*a")
  file:close()
  -- Without a request() of its own, wrk prepares the bytes once, after this.
  wrk.method = "POST"
  wrk.body = body
  wrk.headers["Content-Type"] = "application/json"
end
