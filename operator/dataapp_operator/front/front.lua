-- How many sessions are live in this slot, and for how long nothing has been.
--
-- "Live" is what the backend `app` is serving at this moment: requests in flight and open websockets. An idle
-- keep-alive connection is not live. A request may come and go between two looks, so every look also compares the
-- backend's count of all requests so far: a difference is life too. Probes have a backend of their own and do not count.
--
-- Time is counted in looks, one a second, not read from a clock: a clock that is set forward, or a frozen container,
-- must not make a slot look quiet for longer than it was. So `quietFor` is never above the truth, and below it by at
-- most about a second.

local PERIOD = 1 -- seconds between two looks
local DRAIN_QUIET = 3 -- seconds without anything live before /drain answers

local looks = 0 -- looks so far
local last_live = 0 -- the look at which something was last known to be live
local seen = 0 -- the backend's count of all requests, at the last look
local busy = false -- was something live at the last look

local function counters()
  local stats = core.backends["app"]:get_stats()
  return tonumber(stats["scur"]), tonumber(stats["stot"])
end

-- Seconds of quiet at this moment: 0 if something is live or came by since the last look.
local function quiet_for(live, total)
  if live > 0 or total ~= seen then
    return 0
  end
  return (looks - last_live) * PERIOD
end

core.register_task(function()
  while true do
    core.sleep(PERIOD)
    looks = looks + 1
    local live, total = counters()
    -- What was live at the look before ended somewhere between the two: call it now.
    if live > 0 or total ~= seen or busy then
      last_live = looks
    end
    seen = total
    busy = live > 0
  end
end)

-- How many answers began within so many milliseconds of their request. The app's own answers only.
local WITHIN = { 100, 250, 500, 1000, 2500, 5000, 10000 }
local within = { 0, 0, 0, 0, 0, 0, 0 }
local timed = 0

core.register_action("answered", { "http-res" }, function(txn)
  local began, answered = txn:get_var("txn.began"), txn:get_var("txn.answered")
  if began == nil or answered == nil then
    return
  end
  timed = timed + 1
  for place, limit in ipairs(WITHIN) do
    if answered - began <= limit then
      within[place] = within[place] + 1
    end
  end
end)

-- All answers that visitors have got to their end, and those of them that say that the server failed, the front's own
-- ones included ("the app does not answer"). A websocket counts when it is closed.
local function answers()
  local stats = core.backends["app"]:get_stats()
  local all = 0
  for _, name in ipairs({ "hrsp_1xx", "hrsp_2xx", "hrsp_3xx", "hrsp_4xx", "hrsp_5xx", "hrsp_other" }) do
    all = all + (tonumber(stats[name]) or 0)
  end
  return all, tonumber(stats["hrsp_5xx"]) or 0
end

local function reply(applet, kind, body)
  applet:set_status(200)
  applet:add_header("content-type", kind)
  applet:add_header("cache-control", "no-store")
  applet:add_header("content-length", tostring(#body))
  applet:start_response()
  applet:send(body)
end

core.register_service("sessions", "http", function(applet)
  local live, total = counters()
  local all, errors = answers()
  local body = string.format(
    '{"live": %d, "quietFor": %d, "answers": %d, "errors": %d, "timed": %d, "within": [%s]}\n',
    live, quiet_for(live, total), all, errors, timed, table.concat(within, ", "))
  reply(applet, "application/json", body)
end)

-- Answers when nothing has been live for DRAIN_QUIET seconds, all of them after the question: the quiet before it says
-- nothing about the requests that a gateway still sends until it has heard that this pod is leaving.
core.register_service("drain", "http", function(applet)
  local asked = looks
  while true do
    core.msleep(250)
    local quiet = quiet_for(counters())
    -- The first look after the question may come at once, so it does not count as a second.
    local since = (looks - asked - 1) * PERIOD
    if quiet >= DRAIN_QUIET and since >= DRAIN_QUIET then
      break
    end
  end
  reply(applet, "text/plain", "drained\n")
end)
