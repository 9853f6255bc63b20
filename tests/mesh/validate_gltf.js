// node validate_gltf.js FILE...: the Khronos validator's messages, one line each; exit 1 when there are errors or
// warnings, 77 when the package gltf-validator is not installed (NODE_PATH names other folders).
let validator;
try {
  validator = require("gltf-validator");
} catch {
  process.exit(77);
}
const fs = require("fs");
(async () => {
  let faults = 0;
  for (const file of process.argv.slice(2)) {
    const report = await validator.validateBytes(new Uint8Array(fs.readFileSync(file)));
    faults += report.issues.numErrors + report.issues.numWarnings;
    for (const issue of report.issues.messages) {
      console.log([file, ["error", "warning", "info", "hint"][issue.severity], issue.code, issue.pointer, issue.message].join(": "));
    }
  }
  process.exit(faults > 0 ? 1 : 0);
})();
