// Loads kit/party.ts in a worker thread: threads do not take over the loader of the main thread.
import { register } from 'tsx/esm/api';

register();
await import('./party.ts');
