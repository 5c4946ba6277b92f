import { RpcTarget, WorkerEntrypoint } from "cloudflare:workers";

const never = () => new Promise(() => {});

class Door extends RpcTarget {
  #open;
  #opened = new Promise((resolve) => {
    this.#open = resolve;
  });
  opened() {
    return this.#opened;
  }
  open() {
    this.#open("open");
  }
}

export default class extends WorkerEntrypoint {
  fetch() {
    return never();
  }
  never() {
    return never();
  }
  async after(callback) {
    await callback();
    return never();
  }
  async waits(callback) {
    return callback();
  }
  async slow() {
    await scheduler.wait(100);
    return "slow";
  }
  door() {
    return new Door();
  }
  async reads(stream) {
    return new Response(stream).text();
  }
}
