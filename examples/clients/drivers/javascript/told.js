// One line of JSON for each write, as all drivers print them; the sentinels as host and port.
export const [group, ...words] = process.argv.slice(2);
export const sentinels = words.map((word) => ({ host: word.split(":")[0], port: Number(word.split(":")[1]) }));
export const say = (said) => console.log(JSON.stringify({ at: performance.timeOrigin + performance.now(), ...said }));

const LIMIT_MS = 30000;
const limit = (promise) => {
  let timer;
  const late = new Promise((_, fail) => (timer = setTimeout(() => fail(new Error("no answer in 30 s")), LIMIT_MS)));
  return Promise.race([promise, late]).finally(() => clearTimeout(timer));
};

/** Calls `write(number)`, whose promise fails where the write was not acknowledged. */
export async function writeForEver(write) {
  for (let number = 1; ; number++) {
    try {
      await limit(write(number));
      say({ ok: true });
    } catch (error) {
      say({ error: `${error.name}: ${error.message}`.slice(0, 160) });
    }
    await new Promise((done) => setTimeout(done, 10));
  }
}
