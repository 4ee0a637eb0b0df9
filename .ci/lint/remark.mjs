import validateLinks from 'remark-validate-links'

// Links to files and headings of this repository; none is fetched.
export default { plugins: [[validateLinks, { repository: false }]] }
