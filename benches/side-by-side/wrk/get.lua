-- The same GET over and over; wrk prepares the bytes once.
dofile("report.lua")
