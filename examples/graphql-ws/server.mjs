// A GraphQL server with graphql-ws that knows nothing of authentication: Usher
// tells it who is there.
import { buildSchema } from 'graphql';
import { useServer } from 'graphql-ws/use/ws';
import { WebSocketServer } from 'ws';

const schema = buildSchema(`
  type Query { me: String! }
  type Subscription { count(to: Int!): String! }
`);

const roots = {
  query: { me: (_, { user }) => user },
  subscription: {
    async *count({ to }, { user }) {
      for (let n = 1; n <= to; n++) {
        yield { count: `${user}: ${n}` };
        await new Promise((resolve) => setTimeout(resolve, 100));
      }
    },
  },
};

const server = new WebSocketServer({ host: '127.0.0.1', port: Number(process.env.PORT ?? 9000), path: '/graphql' });
useServer({ schema, roots, context: ({ extra }) => ({ user: extra.request.headers['x-user'] }) }, server);
server.on('listening', () => console.log(`listening on ${server.address().port}`));
