/** Puts the console on its page. */
import { render } from 'preact';
import { App } from './app.tsx';
import './style/base.css';
import './style/page.css';
import './style/table.css';
import './style/tree.css';

const place = document.getElementById('app');
if (place !== null) render(<App />, place);
