export enum Tone {
  Calm,
  Loud,
}

export type Greeting = { text: string; tone: Tone };
