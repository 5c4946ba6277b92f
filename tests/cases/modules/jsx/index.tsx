import { Fragment, h } from "./h";

const Greeting = ({ name }: { name: string }) => <p class="greeting">Hello, {name}!</p>;

export default {
  fetch: () =>
    new Response(
      <>
        <Greeting name="JSX" />
        <hr />
      </>,
    ),
};
