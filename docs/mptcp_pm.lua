-- Wireshark dissector for the generic netlink family mptcp_pm: the path manager's
-- events, commands and answers. It also shows the JSON facts in recordings of
-- mptcpctl.
--
--   wireshark -X lua_script:mptcp_pm.lua -r recording.pcapng
--   tshark -X lua_script:mptcp_pm.lua -r recording.pcapng -Y 'mptcp_pm.event == "SF_CLOSED"'
--
-- Installed for good it lies in ~/.local/lib/wireshark/plugins.

local pm = Proto("mptcp_pm", "MPTCP path manager")

local events = {
  [1] = "CREATED", [2] = "ESTABLISHED", [3] = "CLOSED", [6] = "ANNOUNCED", [7] = "REMOVED",
  [10] = "SF_ESTABLISHED", [11] = "SF_CLOSED", [13] = "SF_PRIO",
  [15] = "LISTENER_CREATED", [16] = "LISTENER_CLOSED",
}
local commands = {
  [1] = "ADD_ADDR", [2] = "DEL_ADDR", [3] = "GET_ADDR", [4] = "FLUSH_ADDRS", [5] = "SET_LIMITS",
  [6] = "GET_LIMITS", [7] = "SET_FLAGS", [8] = "ANNOUNCE", [9] = "REMOVE",
  [10] = "SUBFLOW_CREATE", [11] = "SUBFLOW_DESTROY",
}

local f = {
  event = ProtoField.string("mptcp_pm.event", "Event"),
  command = ProtoField.string("mptcp_pm.command", "Command"),
  token = ProtoField.uint32("mptcp_pm.token", "Token", base.HEX),
  family = ProtoField.uint16("mptcp_pm.family", "Family", base.DEC, { [2] = "inet", [10] = "inet6" }),
  locid = ProtoField.uint8("mptcp_pm.locid", "Local address id"),
  remid = ProtoField.uint8("mptcp_pm.remid", "Remote address id"),
  saddr4 = ProtoField.ipv4("mptcp_pm.saddr4", "Source address"),
  daddr4 = ProtoField.ipv4("mptcp_pm.daddr4", "Destination address"),
  saddr6 = ProtoField.ipv6("mptcp_pm.saddr6", "Source address"),
  daddr6 = ProtoField.ipv6("mptcp_pm.daddr6", "Destination address"),
  sport = ProtoField.uint16("mptcp_pm.sport", "Source port"),
  dport = ProtoField.uint16("mptcp_pm.dport", "Destination port"),
  backup = ProtoField.uint8("mptcp_pm.backup", "Backup"),
  error = ProtoField.uint8("mptcp_pm.error", "Error number"),
  flags = ProtoField.uint16("mptcp_pm.flags", "Flags", base.HEX),
  timeout = ProtoField.uint32("mptcp_pm.timeout", "Timeout"),
  ifindex = ProtoField.int32("mptcp_pm.ifindex", "Interface index"),
  reset_reason = ProtoField.uint32("mptcp_pm.reset_reason", "Reset reason"),
  reset_flags = ProtoField.uint32("mptcp_pm.reset_flags", "Reset flags", base.HEX),
  server_side = ProtoField.uint8("mptcp_pm.server_side", "Server side"),
  limit = ProtoField.uint32("mptcp_pm.limit", "Limit"),
  id = ProtoField.uint8("mptcp_pm.id", "Address id"),
  addr4 = ProtoField.ipv4("mptcp_pm.addr4", "Address"),
  addr6 = ProtoField.ipv6("mptcp_pm.addr6", "Address"),
  port = ProtoField.uint16("mptcp_pm.port", "Port"),
  addr_flags = ProtoField.uint32("mptcp_pm.addr_flags", "Endpoint flags", base.HEX),
}
for _, field in pairs(f) do table.insert(pm.fields, field) end

-- Attributes of events: field, least length, and whether in network byte order.
local event_attributes = {
  [1] = { f.token, 4 }, [2] = { f.family, 2 }, [3] = { f.locid, 1 }, [4] = { f.remid, 1 },
  [5] = { f.saddr4, 4, true }, [6] = { f.saddr6, 16, true }, [7] = { f.daddr4, 4, true }, [8] = { f.daddr6, 16, true },
  [9] = { f.sport, 2, true }, [10] = { f.dport, 2, true }, [11] = { f.backup, 1 }, [12] = { f.error, 1 },
  [13] = { f.flags, 2 }, [14] = { f.timeout, 4 }, [15] = { f.ifindex, 4 },
  [16] = { f.reset_reason, 4 }, [17] = { f.reset_flags, 4 }, [18] = { f.server_side, 1 },
}
local address_attributes = {
  [1] = { f.family, 2 }, [2] = { f.id, 1 }, [3] = { f.addr4, 4, true }, [4] = { f.addr6, 16, true },
  [5] = { f.port, 2 }, [6] = { f.addr_flags, 4 }, [7] = { f.ifindex, 4 },
}
local command_attributes = {
  [1] = address_attributes, [2] = { f.limit, 4 }, [3] = { f.limit, 4 }, [4] = { f.token, 4 },
  [5] = { f.locid, 1 }, [6] = address_attributes,
}

-- attributes adds the netlink attributes of the range to the tree.
local function attributes(known, range, tree, little)
  local at = 0
  while at + 4 <= range:len() do
    local length = little and range(at, 2):le_uint() or range(at, 2):uint()
    local kind = little and range(at + 2, 2):le_uint() or range(at + 2, 2):uint()
    if length < 4 or at + length > range:len() then return end
    local a = known[bit.band(kind, 0x3fff)]
    if a and length > 4 then
      local value = range(at + 4, length - 4)
      if type(a[2]) == "table" then
        attributes(a, value, tree, little)
      elseif length - 4 >= a[2] then
        value = value(0, a[2])
        if little and not a[3] then tree:add_le(a[1], value) else tree:add(a[1], value) end
      end
    end
    at = at + bit.band(length + 3, bit.bnot(3))
  end
end


-- message adds one netlink message of the family.
local function message(range, pinfo, tree, little)
  local sequence = little and range(8, 4):le_uint() or range(8, 4):uint()
  local number = range(16, 1):uint()
  local t = tree:add(pm, range)
  local known, name = command_attributes, commands[number]
  if sequence == 0 then -- nobody asked: an event
    known, name = event_attributes, events[number] or ("UNKNOWN " .. number)
    t:add(f.event, range(16, 1), name)
  else
    t:add(f.command, range(16, 1), name or tostring(number))
  end
  t:append_text(": " .. (name or number))
  pinfo.cols.protocol = "mptcp_pm"
  pinfo.cols.info = name or tostring(number)
  if range:len() > 20 then attributes(known, range(20), t, little) end
end

local family -- the number that the kernel gave the family, from the first packet
local facts = Dissector.get("json")

local function is_little(tvb)
  -- a message is shorter than 64 KiB: its length has zeros where it is big
  return tvb(18, 2):uint() == 0 or tvb(16, 1):uint() ~= 0
end

-- family_of finds the number of mptcp_pm in the controller's answer.
local function family_of(range, little)
  local number, name
  local at = 20
  while at + 4 <= range:len() do
    local length = little and range(at, 2):le_uint() or range(at, 2):uint()
    local kind = little and range(at + 2, 2):le_uint() or range(at + 2, 2):uint()
    if length < 4 or at + length > range:len() then break end
    if kind == 1 then number = little and range(at + 4, 2):le_uint() or range(at + 4, 2):uint() end
    if kind == 2 then name = range(at + 4, length - 4):stringz() end
    at = at + bit.band(length + 3, bit.bnot(3))
  end
  if name == "mptcp_pm" then family = number end
end

local post = Proto("mptcp_pm_messages", "MPTCP path manager messages")

local data = Field.new("frame.interface_description")

function post.dissector(tvb, pinfo, tree)
  local description = data()
  if description and tostring(description) == "facts (JSON)" then
    facts:call(tvb, pinfo, tree)
    pinfo.cols.protocol = "mptcpctl"
    return
  end
  if tvb:len() < 36 or tvb(2, 2):uint() ~= 824 or tvb(14, 2):uint() ~= 16 then return end
  local little = is_little(tvb)
  local at = 16
  while at + 20 <= tvb:len() do
    local length = little and tvb(at, 4):le_uint() or tvb(at, 4):uint()
    local kind = little and tvb(at + 4, 2):le_uint() or tvb(at + 4, 2):uint()
    if length < 20 or at + length > tvb:len() then return end
    if kind == 16 then
      family_of(tvb(at, length), little)
    elseif kind == family then
      message(tvb(at, length), pinfo, tree, little)
    end
    at = at + bit.band(length + 3, bit.bnot(3))
  end
end

register_postdissector(post)
