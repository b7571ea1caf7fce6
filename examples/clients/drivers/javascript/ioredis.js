// ioredis as it comes; LIBRARY names its version, FAILOVER_DETECTOR switches on what its name says.
import { group, say, sentinels, writeForEver } from "./told.js";

const { default: Redis } = await import(process.env.LIBRARY);
say({ begin: true });
const client = new Redis({ sentinels, name: group, failoverDetector: process.env.FAILOVER_DETECTOR === "yes" });
client.on("error", () => {});
client.on("end", () => say({ error: "ended for good" }));
await writeForEver((number) => client.set("ioredis", number));
