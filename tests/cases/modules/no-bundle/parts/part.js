export const part = "a file of its own";
