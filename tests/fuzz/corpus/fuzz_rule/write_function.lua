-- expect: forbidden
function helper() end
