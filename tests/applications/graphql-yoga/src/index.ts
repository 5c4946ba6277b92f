import { createSchema, createYoga } from "graphql-yoga";

const books = new Map([["1", { id: "1", title: "Notes on the Analytical Engine", pages: 66 }]]);

const yoga = createYoga({
  graphqlEndpoint: "/graphql",
  landingPage: false,
  schema: createSchema({
    typeDefs: /* GraphQL */ `
      type Book { id: ID!, title: String!, pages: Int! }
      type Query { book(id: ID!): Book, books: [Book!]! }
      type Mutation { add(title: String!, pages: Int!): Book! }
      type Subscription { countdown(from: Int!): Int! }
    `,
    resolvers: {
      Query: { book: (_, { id }) => books.get(id), books: () => [...books.values()] },
      Mutation: {
        add: (_, { title, pages }) => {
          const book = { id: String(books.size + 1), title, pages };
          books.set(book.id, book);
          return book;
        },
      },
      Subscription: {
        countdown: {
          async *subscribe(_, { from }) {
            for (let i = from; i >= 0; i--) {
              await scheduler.wait(1);
              yield { countdown: i };
            }
          },
        },
      },
    },
  }),
});

export default { fetch: yoga.fetch };
