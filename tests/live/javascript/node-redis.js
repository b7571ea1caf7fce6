// Writes to the master and reads from a replica, through node-redis, for ever; one line for each round.
import { createSentinel } from "redis";

const [name, ...ports] = process.argv.slice(2);
const sentinelRootNodes = ports.map((port) => ({ host: "127.0.0.1", port: Number(port) }));
const client = createSentinel({ name, sentinelRootNodes, masterPoolSize: 1, replicaPoolSize: 1, scanInterval: 500, maxCommandRediscovers: 16 });
client.on("error", () => {});
await client.connect();

const port = (info) => /tcp_port:(\d+)/.exec(info)[1];
const limit = (promise) => Promise.race([promise, new Promise((_, fail) => setTimeout(() => fail(new Error("no answer in time")), 2000))]);
for (let number = 1; ; number++) {
  try {
    await limit(client.set("js", String(number)));
    const wrote = port(await limit(client.sendCommand(false, ["INFO", "server"])));
    const read = port(await limit(client.sendCommand(true, ["INFO", "server"])));
    console.log(`wrote=${wrote} read=${read}`);
  } catch (error) {
    console.log(`failed: ${error.message}`);
  }
  await new Promise((done) => setTimeout(done, 50));
}
