export const fetch = () => new Response("not found by anyone");
