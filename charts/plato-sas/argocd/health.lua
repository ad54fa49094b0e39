-- Health of a StarProcessing or a StarCatalogue for Argo CD, from the conditions that kstatus reads too. Argo CD sets `obj`.
local status = obj.status
if status == nil or status.conditions == nil then
  return {status = "Progressing", message = "The operator has not seen it yet"}
end
if status.observedGeneration ~= nil and status.observedGeneration ~= obj.metadata.generation then
  return {status = "Progressing", message = "The operator has not seen the change yet"}
end

local conditions = {}
for _, condition in ipairs(status.conditions) do
  if condition.status == "True" then
    conditions[condition.type] = condition
  end
end

local function told(condition)
  if condition.message ~= nil and condition.message ~= "" then
    return condition.reason .. ": " .. condition.message
  end
  return condition.reason
end

local state = status.state or "Pending"
if status.progress ~= nil and status.progress ~= "" then
  state = state .. ", " .. status.progress .. " steps"
end

local stalled = conditions.Stalled or conditions.Failed
if stalled ~= nil then
  return {status = "Degraded", message = told(stalled)}
end
if conditions.Ready ~= nil then
  return {status = "Healthy", message = state}
end
if status.state == "Suspended" then
  return {status = "Suspended", message = state}
end
return {status = "Progressing", message = state}
