// npm @kubernetes/client-node: an informer that outlives its connections.
import { createRequire } from "node:module";
const k8s = createRequire(process.argv[3] + "/")("@kubernetes/client-node");

const config = new k8s.KubeConfig();
config.loadFromFile(process.argv[2]);
const api = config.makeApiClient(k8s.CoreV1Api);
const namespace = "default";
const informer = k8s.makeInformer(config, `/api/v1/namespaces/${namespace}/configmaps`, () =>
  api.listNamespacedConfigMap({ namespace }),
);
const seen = [];
let connections = 0;
for (const what of ["add", "update", "delete"]) {
  informer.on(what, (object) => {
    if (object.metadata.name.startsWith("node-js")) seen.push(`${what} ${object.metadata.name}`);
  });
}
informer.on("connect", () => connections++);
informer.on("error", () => setTimeout(() => informer.start(), 50));

async function until(true_, what) {
  const end = Date.now() + 20000;
  while (!true_()) {
    if (Date.now() > end) throw new Error(`not within 20 s: ${what}; seen: ${seen}`);
    await new Promise((done) => setTimeout(done, 20));
  }
}

const make = (name) => api.createNamespacedConfigMap({ namespace, body: { metadata: { name }, data: { a: "1" } } });
await informer.start();
await make("node-js-1");
await until(() => seen.includes("add node-js-1"), "the first is seen");
await informer.stop();
await make("node-js-2");
await informer.start();
await until(() => seen.includes("add node-js-2"), "what happened in between is seen");
await api.deleteNamespacedConfigMap({ namespace, name: "node-js-1" });
await api.deleteNamespacedConfigMap({ namespace, name: "node-js-2" });
await until(() => seen.includes("delete node-js-1") && seen.includes("delete node-js-2"), "both are gone");
if (connections < 2) throw new Error("it never reconnected");
console.log("well");
process.exit(0);
