// SPDX-License-Identifier: Apache-2.0
// Whether a document is OpenAPI 3.1, by the schema that the specification has: validate_openapi.mjs VALIDATOR DOCUMENT
const [validator, path] = process.argv.slice(2);
const { Validator } = await import(validator);
const checker = new Validator();
const { valid, errors } = await checker.validate(path);
if (!valid || checker.version !== "3.1") {
  console.log(checker.version, JSON.stringify(errors, null, 1));
  process.exit(1);
}
