let count = 0;

export const answer = 42;
export const loaded = () => ++count;
