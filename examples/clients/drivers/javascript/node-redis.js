// node-redis as it comes; LIBRARY names its version.
import { group, say, sentinels, writeForEver } from "./told.js";

const { createSentinel } = await import(process.env.LIBRARY);
say({ begin: true });
const client = createSentinel({ name: group, sentinelRootNodes: sentinels });
client.on("error", () => {});
const connected = client.connect();
await writeForEver(async (number) => {
  await connected;
  await client.set("node-redis", String(number));
});
